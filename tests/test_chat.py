"""Chat completions through both SDKs over real HTTP: what is sent, what is read, and the kind of each failure."""

from __future__ import annotations

import asyncio
import json
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.asking.retry_policy import Action, rule_of
from annotator.config.settings import RunConfig
from annotator.errors import ConfigError, TeacherError
from annotator.ledger import request_key
from annotator.teachers import Reply, make_teacher, require_key
from annotator.teachers.rate_limit_headers import pause
from annotator.teachers.responses import read_reply
from tests import loopback
from tests.endpoint import Answer, Endpoint
from tests.loopback import Loopback

PASSAGE = 'Bà Hoà ở TP.HCM nói: "Giá là 5.000.000 đồng" 😀'


@pytest.fixture(params=["openai", "groq"])
def provider(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv(f"{request.param.upper()}_API_KEY", "sk-secret-of-the-test")
    return str(request.param)


def ask(endpoint_url: str, provider: str, *, timeout: float = 60.0) -> Reply:
    """Ask about the passage once."""
    teacher = make_teacher(RunConfig(provider=provider, model="m", base_url=endpoint_url, timeout=timeout))

    async def once() -> Reply:
        try:
            return await teacher.ask(teacher.question(PASSAGE))
        finally:
            await teacher.close()

    return asyncio.run(once())


def test_a_request_has_the_methods_settings(endpoint: Endpoint, provider: str) -> None:
    """A request has temperature 0, the prompt and the unchanged passage; the key is only in the header."""
    endpoint.reply = lambda passage, attempt: Answer(content='[["Hoà", "person"]]')
    reply = ask(endpoint.address(provider), provider)
    assert reply == Reply('[["Hoà", "person"]]', "stop", len(PASSAGE), 10)
    (request,) = endpoint.requests
    assert request["temperature"] == 0
    assert request["model"] == "m"
    assert request["max_tokens"] == 1024
    assert endpoint.asked == {PASSAGE: 1}
    assert endpoint.keys == {"Bearer sk-secret-of-the-test"}
    assert "prompt" not in request


@pytest.mark.parametrize(
    ("answer", "action", "kind"),
    [
        (Answer(429, headers={"Retry-After": "7"}), Action.WAIT, "http 429"),
        (Answer(408), Action.RETRY, "http 408"),
        (Answer(409), Action.RETRY, "http 409"),
        (Answer(500), Action.RETRY, "http 500"),
        (
            Answer(503, body=b"<html>\nmaintenance</html>", headers={"Content-Type": "text/html"}),
            Action.RETRY,
            "http 503",
        ),
        (Answer(hang_up=True), Action.RETRY, "connection"),
        (Answer(delay=1.5), Action.RETRY, "timeout"),
        (Answer(body=b'{"choices": [{"mess'), Action.RETRY, "malformed answer"),
        (Answer(body=b"<html>hello</html>", headers={"Content-Type": "text/html"}), Action.RETRY, "malformed answer"),
        (Answer(body=b'{"error": {"message": "overloaded"}}'), Action.RETRY, "malformed answer"),
        (Answer(body=b"\xff\xfe\xfa"), Action.RETRY, "malformed answer"),
        (Answer(body=b""), Action.RETRY, "malformed answer"),
        (Answer(body=b"[]"), Action.RETRY, "malformed answer"),
        (Answer(body=b'{"choices": []}'), Action.RETRY, "malformed answer"),
        (Answer(400, body=b'{"error": {"message": "too long"}}'), Action.REFUSE, "http 400"),
        (Answer(413), Action.REFUSE, "http 413"),
        (Answer(401, body=b'{"error": {"message": "bad key"}}'), Action.STOP, "http 401"),
        (Answer(403), Action.STOP, "http 403"),
        (Answer(404, body=b'{"error": {"message": "no such model"}}'), Action.STOP, "http 404"),
    ],
)
def test_failures_by_kind(endpoint: Endpoint, provider: str, answer: Answer, action: Action, kind: str) -> None:
    """Each failure is one request and one line without the key, with its kind and action."""
    endpoint.reply = lambda passage, attempt: answer
    with pytest.raises(TeacherError) as caught:
        ask(endpoint.address(provider), provider, timeout=0.7 if kind == "timeout" else 60.0)
    assert (caught.value.kind, rule_of(kind).action) == (kind, action)
    assert "\n" not in str(caught.value)
    assert "sk-secret" not in str(caught.value)
    assert endpoint.asked.total() == 1


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "0.25"}, 0.25),
        ({"retry-after-ms": "1500", "Retry-After": "9"}, 1.5),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"Retry-After": "-3"}, None),
        ({}, None),
    ],
)
def test_the_requested_wait_is_read(
    endpoint: Endpoint, provider: str, headers: dict[str, str], seconds: float | None
) -> None:
    """The requested wait is read in seconds from either header."""
    endpoint.reply = lambda passage, attempt: Answer(429, headers=headers)
    with pytest.raises(TeacherError) as caught:
        ask(endpoint.address(provider), provider)
    assert caught.value.retry_after == seconds


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"remaining-requests": "3", "reset-requests": "20s"}, 0.0),
        ({"remaining-requests": "0", "reset-requests": "20s"}, 20.0),
        ({"remaining-requests": "0", "limit-requests": "60", "reset-requests": "1m0s"}, 1.0),
        ({"remaining-tokens": "40", "limit-tokens": "1040", "reset-tokens": "6m0.5s"}, 21.63),
        ({"remaining-tokens": "0", "reset-tokens": "120ms"}, 0.12),
        ({"remaining-tokens": "0", "reset-tokens": "7.66"}, 7.66),
        ({"remaining-tokens": "0", "reset-tokens": "99h"}, 99 * 3600.0),
        ({"remaining-tokens": "0", "reset-tokens": "soon"}, 0.0),
        ({"remaining-tokens": "-", "reset-tokens": "1s"}, 0.0),
        ({"remaining-tokens": "0"}, 0.0),
    ],
)
def test_exhausted_limits_give_a_pause(headers: dict[str, str], seconds: float) -> None:
    """The pause lasts until a request of 100 tokens fits: limits refill evenly until their reset."""
    assert pause({f"x-ratelimit-{name}": value for name, value in headers.items()}, 100) == pytest.approx(seconds)


def test_a_good_answer_can_request_a_pause(endpoint: Endpoint, provider: str) -> None:
    """A good answer whose headers report an exhausted limit gives a pause before the next request."""
    used_up = {"x-ratelimit-remaining-requests": "0", "X-RateLimit-Reset-Requests": "2s"}
    endpoint.reply = lambda passage, attempt: Answer(headers=used_up)
    assert ask(endpoint.address(provider), provider).pause == 2.0


def test_no_credit_is_not_a_rate_limit(endpoint: Endpoint, provider: str) -> None:
    """OpenAI's 429 for missing credit is an error of its own: waiting does not help."""
    endpoint.reply = lambda passage, attempt: Answer(429, body=b'{"error": {"code": "insufficient_quota"}}')
    with pytest.raises(TeacherError, match="no credit"):
        ask(endpoint.address(provider), provider)


@pytest.mark.parametrize("status", [401, 500, 200])
def test_a_key_in_an_error_is_masked(endpoint: Endpoint, provider: str, status: int) -> None:
    """A key that an endpoint repeats in its error is masked, since messages are stored and shown."""
    body = b'{"error": {"message": "wrong: sk-secret-of-the-test!"}}'
    endpoint.reply = lambda passage, attempt: Answer(status, body=body)
    with pytest.raises(TeacherError, match=r"wrong: \[key\]!"):
        ask(endpoint.address(provider), provider)


@pytest.mark.parametrize("key", ["x", "none", "EMPTY"])
def test_a_placeholder_key_is_not_masked(
    endpoint: Endpoint, provider: str, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    """A placeholder key of a local server is not masked, since it is a common word."""
    monkeypatch.setenv(f"{provider.upper()}_API_KEY", key)
    body = b'{"error": {"message": "none expected, EMPTY box"}}'
    endpoint.reply = lambda passage, attempt: Answer(500, body=body)
    with pytest.raises(TeacherError, match="none expected, EMPTY box"):
        ask(endpoint.address(provider), provider)


@pytest.mark.parametrize(
    "body",
    [
        {"detail": "no such field"},
        {"detail": [{"type": "extra_forbidden", "loc": ["body", "top_k"], "msg": "no such field"}]},
        {"detail": {"error": "no such field"}},
        {"object": "error", "message": "no such field", "code": 422},
        {"error": "Unprocessable", "message": "no such field"},
        [{"error": {"code": 422, "message": "no such field"}}],
    ],
)
def test_only_the_message_of_an_error_is_shown(endpoint: Endpoint, provider: str, body: object) -> None:
    """The message is found in the error forms of FastAPI, vLLM, Gemini and others."""
    endpoint.reply = lambda passage, attempt: Answer(500, body=json.dumps(body).encode())
    with pytest.raises(TeacherError, match=r": no such field$"):
        ask(endpoint.address(provider), provider)


def test_a_probe_is_the_smallest_request(endpoint: Endpoint, provider: str) -> None:
    """A probe asks for one token of the same model."""
    teacher = make_teacher(RunConfig(provider=provider, model="m", base_url=endpoint.address(provider)))

    async def once() -> None:
        await teacher.probe()
        await teacher.close()

    asyncio.run(once())
    (request,) = endpoint.requests
    assert (request["model"], request["max_tokens"]) == ("m", 1)


def test_the_environment_of_the_sdk_is_used(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """Address, organization, project and proxies are read from the environment variables of the SDK."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://nowhere.invalid/v1")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-1")
    monkeypatch.setenv("http_proxy", endpoint.address("groq"))
    monkeypatch.setenv("no_proxy", "excepted.invalid")
    assert ask("", "openai").finish_reason == "stop"
    assert endpoint.headers[-1]["openai-organization"] == "org-1"
    assert endpoint.headers[-1]["openai-project"] == "proj-1"
    assert endpoint.headers[-1]["host"] == "nowhere.invalid"
    with pytest.raises(TeacherError, match=r"cannot reach http://excepted\.invalid"):
        ask("http://excepted.invalid/v1", "openai")


class Proxy(Loopback):
    """A proxy that refuses every password."""

    def handler(self) -> type[loopback.Handler]:
        class Refusing(loopback.Handler):
            def refuse(self) -> None:
                self.send_error(407, "no")

            do_CONNECT = do_POST = refuse  # noqa: N815 - names of the standard library

        return Refusing


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_password_of_a_proxy_is_not_shown(scheme: str, provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy's password is in no error and no traceback."""
    with Proxy() as proxy:
        monkeypatch.setenv(f"{scheme}_proxy", f"http://user:hunter2@127.0.0.1:{proxy.port}")
        with pytest.raises(TeacherError, match="407") as caught:
            ask(f"{scheme}://example.invalid/v1", provider)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))  # as --debug shows it


@pytest.mark.parametrize(
    "address",
    [
        "http://me:hunter2@127.0.0.1/v1",
        "http://hunter2@h/v1",
        "http://h/v1?key=hunter2",
        "http://h/#hunter2",
        "http://[h",
    ],
)
def test_an_address_with_a_secret_is_refused(address: str, provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address with a secret, which would be stored in the manifest, is refused without repeating it."""
    with pytest.raises(ConfigError, match="--base-url") as caught:
        RunConfig(provider=provider, model="m", base_url=address)
    assert "hunter2" not in str(caught.value)
    monkeypatch.setenv(f"{provider.upper()}_BASE_URL", address)
    with pytest.raises(ConfigError, match=f"{provider.upper()}_BASE_URL"):
        require_key(RunConfig(provider=provider, model="m"))


@pytest.mark.parametrize("key", ["sk-a\nb", "sk-đ", "sk-\x7f"])
def test_a_malformed_key_is_refused(key: str, provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A malformed key is refused before a library can repeat it in an error; white space around is removed."""
    config = RunConfig(provider=provider, model="m")
    monkeypatch.setenv(f"{provider.upper()}_API_KEY", key)
    with pytest.raises(ConfigError, match="no key has") as caught:
        require_key(config)
    assert key not in str(caught.value)
    monkeypatch.setenv(f"{provider.upper()}_API_KEY", " sk-good\n")
    assert require_key(config) == "sk-good"


def test_an_unreachable_endpoint(provider: str) -> None:
    """An unreachable endpoint is an error with the address and the fix."""
    with pytest.raises(TeacherError, match=r"cannot reach http://127\.0\.0\.1:9.*--base-url"):
        ask("http://127.0.0.1:9/v1", provider)


@pytest.mark.parametrize(
    ("message", "text"),
    [({"content": None, "refusal": "no"}, ""), ({"content": ""}, ""), ({}, ""), ({"content": []}, "")],
)
def test_an_answer_without_text_is_an_answer(message: object, text: str) -> None:
    """An answer without text is kept, since it was paid for; the parser judges it."""
    body = {"choices": [{"message": message, "finish_reason": "content_filter"}], "usage": {"prompt_tokens": "x"}}
    reply = read_reply(json.dumps(body).encode(), {})
    assert (reply.text, reply.finish_reason, reply.prompt_tokens) == (text, "content_filter", 0)


def test_a_deep_or_large_body_is_harmless() -> None:
    """Very deep nesting is a malformed answer; ten megabytes of text are read."""
    with pytest.raises(TeacherError):
        read_reply(b"[" * 200_000, {})
    large = {"choices": [{"message": {"content": "Đ" * 5_000_000}, "finish_reason": "stop"}]}
    assert len(read_reply(json.dumps(large).encode(), {}).text) == 5_000_000


def test_a_missing_key_is_reported_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing key is an error before any work, except for local servers; questions need no key."""
    with pytest.raises(ConfigError, match="export GROQ_API_KEY"):
        require_key(RunConfig(provider="groq"))
    with pytest.raises(ConfigError, match="export OPENAI_API_KEY"):
        require_key(RunConfig(provider="openai", model="m"))
    assert require_key(RunConfig(provider="openai", model="m", base_url="http://127.0.0.1:1/v1")) == ""
    assert require_key(RunConfig()) == ""
    assert make_teacher(RunConfig(provider="groq")).question("x").key


def test_the_question_key_has_only_what_decides_the_answer() -> None:
    """The question's key depends on model and limits, not on address, provider or retries."""

    def key(**settings: object) -> str:
        return make_teacher(RunConfig(**{"provider": "openai", "model": "m", **settings})).question(PASSAGE).key  # type: ignore[arg-type]

    assert key() == key(base_url="http://127.0.0.1:1/v1", timeout=3.0, concurrency=2, max_retries=1)
    assert key() == key(provider="groq")
    assert key() != key(model="n")
    assert key() != key(max_completion_tokens=99)


def test_an_unknown_prompt_is_a_configuration_error() -> None:
    """An unknown prompt is an error that lists the shipped ones."""
    with pytest.raises(ConfigError, match=r"--prompt: no prompt 'x'; shipped: open-ner-vi\.1"):
        make_teacher(RunConfig(provider="openai", model="m", prompt="x"))


@given(st.text())
def test_a_question_from_a_form_equals_its_content(text: str) -> None:
    """Key and body made from the form equal those of the whole content, for any passage."""
    question = make_teacher(RunConfig(provider="openai", model="m")).question(text)
    assert question.key == request_key(question.content)
    sent = {name: value for name, value in question.content.items() if name != "prompt"}
    assert json.loads(question.body) == json.loads(json.dumps(sent).encode("utf-8", "replace"))


def test_the_key_of_a_known_passage() -> None:
    """The key is pinned: another value would lose every paid answer."""
    question = make_teacher(RunConfig(provider="openai", model="llama3-70b-8192")).question(PASSAGE)
    assert question.key == "cde3615b939130685f82b1f4909ddfadd803e0ad3334ad33e6bca3917446fecc"
