"""The review page: a real server, a real browser, and requests that must be refused."""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from annotator.cleaning.entity_reviews import Decision, folder, read_reviews
from data_cards.review.quality import write_quality
from tests.browser import Browser, browser_needed
from tests.commands import must_succeed, vner, vner_process, wait_for
from tests.rundirs import Item, make_run

pytestmark = pytest.mark.slow

NASTY = "<img src=x onerror='window.owned=1'>\u202e"
CITIES = ("Huế", "Vinh", "Cần Thơ", "Đà Lạt", "Hội An", "Nha Trang", "Quy Nhơn", "Mỹ Tho")
ITEMS = [
    Item("p0", f"Ông 🎉 Hoà ở Đại học Hà Nội. {NASTY} Cafe\u0301 đóng cửa.",
         [("Hoà", "person"), ("Đại học Hà Nội", "university"), ("Hà Nội", "city"), (NASTY, NASTY)]),
    *(Item(f"p{n}", f"Đoàn bà Lê Thu Hà, {n} người, đến {city} chiều qua.", [("Lê Thu Hà", "person"), (city, "city")])
      for n, city in enumerate(CITIES, start=1)),
]  # fmt: skip


@contextmanager
def serving(root: Path, *more: object) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Yield the address of a review page and its process, which is killed at the end."""
    process = vner_process("review", root, "--no-browser", *more)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://\S+", line)
        assert found, line + (process.stderr.read() if process.stderr else "")
        yield found.group(), process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as own:
        yield own


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run", ITEMS).root


def shown(browser: Browser, wanted: str, element: str = "question") -> None:
    """Wait until an element contains a text."""
    wait_for(lambda: wanted in (browser.run(f"document.getElementById('{element}')?.textContent") or ""))


def done(browser: Browser, number: int) -> None:
    wait_for(lambda: browser.run("document.getElementById('progress').textContent").startswith(f"{number} done"))


def decisions(root: Path) -> list[Decision]:
    return list(read_reviews(root).decisions)


def enter(browser: Browser, mode: str) -> None:
    browser.run(f"document.querySelector('[data-mode={mode}]').click()")
    wait_for(lambda: browser.run("document.querySelector('[aria-current=true]').dataset.mode") == mode)


@browser_needed
def test_verify_by_keys(browser: Browser, root: Path) -> None:
    """Each verdict by key, and undo, is on the disk at once; offsets are code points."""
    with serving(root, "--reviewer", "an") as (address, _):
        browser.open(address)
        shown(browser, "an entity of type")
        for number, key in enumerate("ynu", start=1):
            browser.press(key)
            done(browser, number)
        browser.press("t")
        wait_for(lambda: browser.run("document.getElementById('chooser').open"))
        for char in "hospital":
            browser.press(char)
        browser.press("Enter")
        done(browser, 4)
        browser.press("s")
        shown(browser, "The entity is")
        browser.press("ArrowRight")
        browser.press("Enter")
        done(browser, 5)
        browser.press("y")
        done(browser, 6)
        browser.press("z")
        done(browser, 5)
        found = decisions(root)
        assert [one.verdict for one in found] == ["right", "none", "unsure", "type", "span"]
        assert found[3].new_label == "hospital"
        wrong = next(item.text for item in ITEMS if item.id == found[4].passage_id)
        assert found[4].new_mention in wrong
        assert found[4].new_mention.startswith(found[4].mention)
        assert len(found[4].new_mention.split()) == len(found[4].mention.split()) + 1
        assert browser.run("window.owned") is None
    assert not browser.errors


@browser_needed
def test_blind_by_keys_then_the_differences(browser: Browser, root: Path) -> None:
    """Predictions are hidden until the reader is done, nested entities can be marked, each difference is settled."""
    with serving(root, "--reviewer", "an", "--mode", "blind") as (address, _):
        browser.open(address)
        shown(browser, "Mark every entity")
        for _ in range(len(ITEMS)):  # until the passage with the nested entities
            text = browser.run("document.getElementById('passage').textContent")
            if "Đại học" in text:
                break
            before = browser.run("document.getElementById('progress').textContent")
            browser.press("d")
            while "Is it right" in browser.run("document.getElementById('question').textContent"):
                browser.press("n")
            wait_for(lambda before=before: browser.run("document.getElementById('progress').textContent") != before)
        assert "university" not in browser.run("document.getElementById('passage').textContent")
        mark(browser, "Đại học Hà Nội", "university")
        mark(browser, "Hà Nội", "city")
        count = "s => s.style.backgroundImage.split('gradient').length"
        stacked = f"[...document.querySelectorAll('#passage .s')].map({count})"
        assert max(browser.run(stacked)) > 2
        browser.press("d")
        shown(browser, "Is it right")
        while "Is it right" in browser.run("document.getElementById('question').textContent"):
            browser.press("y")
        wait_for(lambda: any(one.passage_id == "p0" for one in decisions(root)))
        own = next(one for one in decisions(root) if one.passage_id == "p0")
        text = ITEMS[0].text
        marked = {(text[start:end], label) for start, end, label in own.marked}
        assert marked == {("Đại học Hà Nội", "university"), ("Hà Nội", "city")}

        assert ("Hoà", "person") in {(text[start:end], label) for start, end, label in own.entities}
        assert browser.run("window.owned") is None
    quality = write_quality(make_run(root, ITEMS))
    assert quality is not None
    assert quality["recall"]["passages"] >= 1


SELECT = """(() => {
  const passage = document.getElementById("passage"), wanted = WANTED;
  const nodes = [...passage.querySelectorAll(".s")].map((part) => [part.firstChild, part.textContent]);
  const at = nodes.map(([, text]) => text).join("").indexOf(wanted);
  const find = (place) => {
    for (const [node, text] of nodes) {
      if (place <= text.length) return [node, place];
      place -= text.length;
    }
  };
  getSelection().setBaseAndExtent(...find(at), ...find(at + wanted.length));
  passage.dispatchEvent(new MouseEvent("mouseup", {bubbles: true}));
})()"""


def mark(browser: Browser, wanted: str, label: str) -> None:
    """Select text as a mouse does, and choose its type."""
    browser.run(SELECT.replace("WANTED", json.dumps(wanted)))
    wait_for(lambda: browser.run("document.getElementById('chooser').open"))
    browser.run("document.getElementById('type').value = ''")
    for char in label:
        browser.press(char)
    browser.press("Enter")
    wait_for(lambda: not browser.run("document.getElementById('chooser').open"))


@browser_needed
def test_correct_and_settle(browser: Browser, root: Path) -> None:
    """A corrected passage is stored as a whole; disagreements are settled without the reviewers' names."""
    with serving(root, "--reviewer", "an", "--mode", "correct") as (address, _):
        browser.open(address)
        shown(browser, "Fix the entities")
        browser.press("Tab")
        browser.press("x")
        browser.press("d")
        done(browser, 1)
        [own] = decisions(root)
        item = next(one for one in ITEMS if one.id == own.passage_id)
        assert len(own.entities) == len(item.entities) - 1
    (folder(root) / "an.jsonl").unlink()
    for name, key in (("an", "y"), ("binh", "n")):
        with serving(root, "--reviewer", name, "--overlap", 1) as (address, _):
            browser.open(address)
            shown(browser, "an entity of type")
            browser.press(key)
            done(browser, 1)
    with serving(root, "--reviewer", "chi", "--mode", "settle") as (address, _):
        browser.open(address)
        shown(browser, "no entity", "list")
        assert not {"an", "binh"} & set(re.findall(r"\w+", browser.run("document.getElementById('list').textContent")))
        browser.press("y")
        shown(browser, "nothing that is not settled")
    assert [one.verdict for one in decisions(root) if one.mode == "settle"] == ["right"]


@browser_needed
def test_a_thousand_types(browser: Browser, tmp_path: Path) -> None:
    """The list of types stays short for any dataset, typing finds each type, and a new one is allowed."""
    items = [Item(f"p{n}", f"Đoàn số {n} đến {city}.", [(city, f"kind {n}")])
             for n in range(1000) for city in [CITIES[n % len(CITIES)]]]  # fmt: skip
    root = make_run(tmp_path / "many", items).root
    with serving(root, "--reviewer", "an") as (address, _):
        browser.open(address)
        for number, wanted in enumerate(("kind 777", "a new type"), start=1):
            wait_for(lambda: browser.run("document.querySelectorAll('#actions button').length") > 0)
            browser.press("t")
            wait_for(lambda: browser.run("document.getElementById('chooser').open"))
            assert browser.run("document.querySelectorAll('#types li').length") <= 50
            for char in wanted:
                browser.press(char)
            wait_for(
                lambda wanted=wanted: (
                    browser.run("document.querySelector('[aria-selected=true]').textContent") == wanted
                )
            )
            browser.press("Enter")
            done(browser, number)
    assert [one.new_label for one in decisions(root)] == ["kind 777", "a new type"]


@browser_needed
def test_a_kill_loses_nothing(browser: Browser, root: Path) -> None:
    """Answers before SIGKILL are stored, the page reports the lost server, and a new server continues."""
    with serving(root, "--reviewer", "an") as (address, process):
        browser.open(address)
        shown(browser, "an entity of type")
        for number in range(1, 6):
            browser.press("y")
            done(browser, number)
        process.send_signal(signal.SIGKILL)
        process.wait()
        browser.press("y")
        shown(browser, "server does not answer", "message")
    browser.errors.clear()  # the error of the request without an answer
    assert len(decisions(root)) == 5
    with serving(root, "--reviewer", "an") as (address, _):
        browser.open(address)
        done(browser, 5)


@browser_needed
@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (1200, "dark")])
def test_the_page_fits(browser: Browser, root: Path, width: int, scheme: str) -> None:
    """On a phone and in dark mode nothing is wider than the screen; every control has a name."""
    with serving(root, "--reviewer", "an") as (address, _):
        browser.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 500
        )
        browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        browser.open(address)
        shown(browser, "an entity of type")
        assert browser.run("document.documentElement.scrollWidth") <= width
        names = browser.run(
            "[...document.querySelectorAll('button, input')].every(e => e.textContent.trim() || e.labels?.length)"
        )
        assert names
        browser.press("?")
        wait_for(lambda: browser.run("document.getElementById('help').open"))
        browser.call("Emulation.clearDeviceMetricsOverride")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_server_with_the_figures(root: Path, number: signal.Signals) -> None:
    """SIGINT and SIGTERM end the server with the measured figures and exit code 0."""
    with serving(root, "--reviewer", "an") as (_, process):
        process.send_signal(number)
        _, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    assert "quality: not measured" in errors
    assert "vner-annotate build" not in errors


def test_a_browser_in_the_foreground_gets_the_page(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text browser runs until its user leaves it; the server answers it in the meantime."""
    seen, browser = tmp_path / "seen", tmp_path / "browser"
    browser.write_text(
        f"#!{sys.executable}\nimport pathlib, sys, urllib.request\n"
        f"pathlib.Path({str(seen)!r}).write_bytes(urllib.request.urlopen(sys.argv[1]).read())\n"
    )
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", str(browser))
    process = vner_process("review", root)
    try:
        wait_for(lambda: seen.exists() and "<title>Review" in seen.read_text(encoding="utf-8"))
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    own = make_run(tmp_path_factory.mktemp("attacked") / "run", ITEMS).root
    with serving(own, "--reviewer", "an") as (address, _):
        yield address, own


def ask(address: str, path: str, body: Any = None, **headers: str) -> tuple[int, str, dict[str, str]]:
    """Send one request; the path is below the token unless it begins with a slash."""
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=300)
    data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    if data is not None:
        headers = {"Content-Type": "application/json", "Origin": f"http://{parts.netloc}", **headers}
    connection.request(
        "GET" if data is None else "POST", path if path.startswith("/") else parts.path + path, data, headers
    )
    answer = connection.getresponse()
    return answer.status, answer.read().decode("utf-8"), dict(answer.getheaders())


def test_foreign_requests_are_refused(attacked: tuple[str, Path]) -> None:
    """Wrong tokens, hosts (DNS rebinding), origins, content types and paths are refused."""
    address, root = attacked
    item = json.loads(ask(address, "api/next?mode=verify")[1])["item"]
    answer = {**item, "mode": "verify", "verdict": "right"}
    assert ask(address, "/wrong/api/next?mode=verify")[0] == 404
    assert ask(address, "/")[0] == 404
    assert ask(address, "", Host="news.example")[0] == 404
    assert ask(address, "api/next?mode=verify", Origin="http://news.example")[0] == 403
    assert ask(address, "api/decide", answer, Origin="http://news.example")[0] == 403
    assert ask(address, "api/decide", answer, Origin="null")[0] == 403
    assert ask(address, "api/decide", answer, **{"Content-Type": "text/plain"})[0] == 403
    for path in ("../server.py", "%2e%2e/server.py", "..%2fserver.py", "page.css/../../server.py"):
        assert ask(address, path)[0] == 404
    assert not (root / "reviews").exists()


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"x" * 10_000_000, 413), (b"{", 400), (b"[" * 60_000, 400), (b"[]", 400), (b"\xff", 400), ({"mode": "../x"}, 400),
     ({"mode": "verify", "passage_id": "nowhere"}, 400),
     ({"mode": "blind", "passage_id": "p0", "entities": [[-1, 2, "a"]]}, 400),
     ({"mode": "blind", "passage_id": "p0", "entities": {"a": 1}}, 400)],
)  # fmt: skip
def test_a_malformed_body_is_refused(attacked: tuple[str, Path], body: Any, status: int) -> None:
    """A malformed body gets a JSON error of one line; nothing is written and the server continues."""
    address, root = attacked
    try:
        got, text, _ = ask(address, "api/decide", body)
    except (BrokenPipeError, ConnectionResetError):
        got, text = 413, '{"error": ""}'  # the server closed the connection during the upload
    assert got == status
    assert "\n" not in json.loads(text)["error"]
    assert ask(address, "api/next?mode=verify")[0] == 200
    assert not (root / "reviews").exists()


def test_every_response_has_the_security_headers(attacked: tuple[str, Path]) -> None:
    """The page, its files, its data and its errors have the strict content security policy."""
    for path in ("", "page.js", "api/start", "missing"):
        headers = ask(attacked[0], path)[2]
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_the_reviewers_name_is_checked_first(root: Path) -> None:
    """A reviewer's name that is a path is refused before the server starts."""
    found = vner("review", root, "--reviewer", "../../x", "--no-browser")
    assert found.exit_code == 2, found.output
    assert "--reviewer" in found.output


def test_quality_without_a_review(root: Path) -> None:
    """Without a review, ``quality`` shows no figure and names the command that measures it."""
    found = must_succeed(vner("quality", root))
    assert "quality: not measured" in found.output
    assert "vner-annotate review" in found.output
