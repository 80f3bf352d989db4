"""Proxies of the environment and invalid addresses: used, or reported in one line without a password."""

from __future__ import annotations

import asyncio
import socket
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from annotator.config.settings import RunConfig
from annotator.errors import ConfigError
from annotator.teachers.http import proxy_of
from tests.commands import asking, build, must_succeed, vner
from tests.endpoint import Answer, Endpoint

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the proxies of this machine from the environment."""
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@contextmanager
def socks_proxy(target: int) -> Iterator[tuple[int, list[bytes]]]:
    """Yield the port of a SOCKS5 proxy that forwards to a local port, and the hosts it is asked for."""
    asked: list[bytes] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, methods = await reader.readexactly(2)
        await reader.readexactly(methods)
        writer.write(b"\x05\x00")
        kind = (await reader.readexactly(4))[3]
        length = {1: 4, 4: 16}.get(kind) or (await reader.readexactly(1))[0]
        asked.append(await reader.readexactly(length))
        await reader.readexactly(2)
        there, back = await asyncio.open_connection("127.0.0.1", target)
        writer.write(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
        await asyncio.gather(pump(reader, back), pump(there, writer))

    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(serve, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1], asked
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.mark.slow
@pytest.mark.parametrize("value", ["socks5://127.0.0.1:9", "http://127.0.0.1:9", "ftp://x", "http://[::1"])
def test_no_proxy_is_used_for_localhost(
    endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    """A local server is asked directly, whatever proxies the environment has."""
    monkeypatch.setenv("ALL_PROXY", value)
    monkeypatch.setenv("HTTP_PROXY", value)
    must_succeed(build(endpoint, tmp_path / "run"))


@pytest.mark.parametrize("value", ["socks5://127.0.0.1:9", "ftp://x"])
def test_groq_uses_no_proxy_for_localhost(
    endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    """The Groq SDK, which would use ALL_PROXY or fail, asks a local server directly."""
    monkeypatch.setenv("GROQ_API_KEY", "gsk-x")
    monkeypatch.setenv("ALL_PROXY", value)
    must_succeed(vner("annotate", "sample", "--docs", 3, "--out", tmp_path / "run", *asking(endpoint, "groq")))


def test_a_socks_proxy_is_used(endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A SOCKS proxy is used, also to resolve the host."""
    pytest.importorskip("aiohttp_socks")
    with socks_proxy(endpoint.port) as (port, asked):
        monkeypatch.setenv("ALL_PROXY", f"socks5h://127.0.0.1:{port}")
        where = ("--provider", "openai", "--model", "m", "--base-url", "http://teacher.invalid/v1")
        result = vner("annotate", "sample", "--docs", 3, "--out", tmp_path / "run", *where)
    assert result.exit_code == 0, result.output
    assert set(asked) == {b"teacher.invalid"}


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["http", "socks5h"])
def test_a_dead_proxy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    """An unreachable proxy is a one-line error with the variables, without its password."""
    monkeypatch.setenv("ALL_PROXY", f"{scheme}://user:hunter2@127.0.0.1:{(port := free_port())}")
    where = ("--provider", "openai", "--model", "m", "--base-url", "http://teacher.invalid/v1")
    result = vner("annotate", "sample", "--docs", 3, "--max-retries", 0, "--out", tmp_path / "run", *where)
    last = result.stderr.strip().splitlines()[-1]
    assert result.exit_code == 1
    assert f"cannot reach the proxy {scheme}://127.0.0.1:{port}" in last
    assert "HTTPS_PROXY" in last
    assert "hunter2" not in result.output
    assert "hunter2" not in "".join(traceback.format_exception(result.exception))


@pytest.mark.parametrize("value", ["ftp://h", "http://[h", "http://", "socks9://h:1", "http://h:x"])
def test_an_invalid_proxy_is_reported_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """An invalid proxy is an error before any request, with the variables that may have it."""
    monkeypatch.setenv("HTTP_PROXY", value)
    where = ("--provider", "openai", "--model", "m", "--base-url", "http://teacher.invalid/v1")
    result = vner("annotate", "sample", "--docs", 3, "--out", tmp_path / "run", *where)
    assert result.exit_code == 2
    assert "HTTP_PROXY, HTTPS_PROXY and ALL_PROXY" in result.stderr
    monkeypatch.setenv("NO_PROXY", "teacher.invalid")
    assert proxy_of("http://teacher.invalid/v1") == ""


@pytest.mark.parametrize("provider", ["openai", "groq"])
def test_a_missing_socks_package_is_a_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, provider: str
) -> None:
    """Without the package for SOCKS, the error names it and NO_PROXY."""
    monkeypatch.setenv("GROQ_API_KEY", "gsk-x")
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    monkeypatch.setitem(__import__("sys").modules, "aiohttp_socks", None)
    monkeypatch.setitem(__import__("sys").modules, "socksio", None)
    where = ("--provider", provider, "--model", "m", "--base-url", "http://teacher.invalid/v1")
    result = vner("annotate", "sample", "--docs", 3, "--out", tmp_path / "run", *where)
    assert result.exit_code == 2, result.output
    assert "NO_PROXY" in result.stderr
    assert "defect" not in result.output


@pytest.mark.parametrize(
    "address",
    ["localhost:8000/v1", "127.0.0.1:8000", "ftp://h/v1", "http://", "http://h:x/v1", "http://h/a b", "/v1", "ws://h"],
)
def test_an_invalid_address_is_refused(tmp_path: Path, address: str) -> None:
    """An invalid --base-url is a configuration error with an example."""
    with pytest.raises(ConfigError, match=r"--base-url.*give one such as http://localhost:8000/v1"):
        RunConfig(provider="openai", model="m", base_url=address)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_names_the_new_address(endpoint: Endpoint, tmp_path: Path, status: int) -> None:
    """A redirect is an error with the new --base-url, without secrets; the key is not sent there."""
    place = "https://new.example/api/v1/chat/completions?token=hunter2"
    endpoint.reply = lambda passage, attempt: Answer(status, headers={"Location": place})
    result = vner("annotate", "sample", "--docs", 3, "--out", tmp_path / "run", *asking(endpoint))
    assert result.exit_code == 1
    assert f"answered {status}: the address has moved; give --base-url https://new.example/api/v1" in result.stderr
    assert "hunter2" not in result.output
    assert endpoint.asked.total() == 1
