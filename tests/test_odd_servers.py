"""The HTTP client against servers that send odd responses, in any pieces, and close at any time."""

from __future__ import annotations

import asyncio
import gzip
import shutil
import ssl
import subprocess
import zlib
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.config.settings import RunConfig
from annotator.errors import ConfigError, TeacherError
from annotator.teachers.http import Answer, HttpConnection
from annotator.teachers.openai import connect, headers

BODY = '{"câu": "Bà Hoà ở Huế 🎉"}'.encode()
LONG = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nX-Name: \xe9\r\n\r\n%b" % (len(BODY), BODY)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n%b\r\n%x;x=y\r\n%b\r\n0\r\nTrailer: 1\r\n\r\n" % (
    BODY[:5],
    len(BODY) - 5,
    BODY[5:],
)
EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + LONG
TO_THE_END = b"HTTP/1.1 200 OK\r\n\r\n" + BODY
LAST = LONG.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n")

Serving = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def request_of(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Return the head and the body of the next request."""
    head = await reader.readuntil(b"\r\n\r\n")
    return head, await reader.readexactly(int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]))


def post(serve: Serving, *bodies: bytes, timeout: float = 5.0, tls: ssl.SSLContext | None = None,
         at_once: bool = False) -> tuple[list[Answer | BaseException], int]:  # fmt: skip
    """Post ``bodies`` one after the other; return the results and the number of connections."""
    taken = 0

    async def counted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal taken
        taken += 1
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def work() -> list[Answer | BaseException]:
        server = await asyncio.start_server(counted, "127.0.0.1", 0, ssl=tls, limit=1 << 24)
        address = f"{'https' if tls else 'http'}://localhost:{server.sockets[0].getsockname()[1]}/v1/"
        client = HttpConnection(address, {"authorization": "Bearer x"}, timeout)
        if at_once:
            answers = await asyncio.gather(*(client.post(body) for body in bodies), return_exceptions=True)
        else:
            answers = []
            for body in bodies:
                answers += await asyncio.gather(client.post(body), return_exceptions=True)
                await asyncio.sleep(0.01)  # let the server's next packet arrive
        await client.close()
        server.close()
        return answers

    return asyncio.run(work()), taken


def sending(*parts: bytes, then_close: bool = False) -> Serving:
    """Answer every request with ``parts``, each in its own packet."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await request_of(reader)
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0)
            if then_close:
                return

    return serve


@pytest.mark.slow
@given(st.sampled_from([LONG, CHUNKED, EARLY, LAST]), st.lists(st.integers(0, 200), max_size=6))
def test_packet_bounds_change_no_answer(answer: bytes, cuts: list[int]) -> None:
    """A response is read alike however it is cut into packets."""
    marks = sorted({0, *(cut % (len(answer) + 1) for cut in cuts), len(answer)})
    (found,), _ = post(sending(*(answer[start:end] for start, end in pairwise(marks))), BODY)
    assert isinstance(found, Answer)
    assert (found.status, found.body) == (200, BODY)


def test_a_connection_is_reused() -> None:
    """A connection is reused for several requests, whose head and body arrive whole."""
    seen = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            seen.append(await request_of(reader))
            writer.write(LONG)

    answers, connections = post(serve, BODY, b"", b"x" * 10_000_000)
    assert [answer.body for answer in answers if isinstance(answer, Answer)] == [BODY] * 3
    assert connections == 1
    assert [body for _, body in seen] == [BODY, b"", b"x" * 10_000_000]
    head = seen[0][0].lower()
    assert head.startswith(b"post /v1/chat/completions http/1.1\r\nhost: localhost:")
    assert b"\r\nauthorization: bearer x\r\n" in head


def test_there_are_as_many_connections_as_requests_at_once() -> None:
    """Concurrent requests use a connection each and get their own answers."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            _, body = await request_of(reader)
            await asyncio.sleep(0.02)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + body)

    answers, connections = post(serve, b"a", b"b", b"c", b"d", at_once=True)
    assert [answer.body for answer in answers if isinstance(answer, Answer)] == [b"a", b"b", b"c", b"d"]
    assert connections == 4


@pytest.mark.parametrize(
    ("serve", "connections"),
    [
        (sending(LAST), 2),
        (sending(TO_THE_END, then_close=True), 2),
        (sending(LONG, then_close=True), 2),  # closed without a header
        (sending(LONG + b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"), 2),  # an answer without a request
        (sending(LONG, b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"), 2),
        (sending(LONG.replace(b"HTTP/1.1", b"HTTP/1.0")), 2),
        (sending(CHUNKED), 1),
        (sending(EARLY), 1),
    ],
)
def test_a_closed_connection_is_not_reused(serve: Serving, connections: int) -> None:
    """A connection that either side ends is replaced, and both requests are answered."""
    answers, taken = post(serve, BODY, BODY)
    assert [(answer.status, answer.body) for answer in answers if isinstance(answer, Answer)] == [(200, BODY)] * 2
    assert taken == connections


@pytest.mark.parametrize(
    "serve",
    [
        sending(b"", then_close=True),
        sending(LONG[:-1], then_close=True),
        sending(CHUNKED[:-5], then_close=True),
        sending(CHUNKED[:-1], then_close=True),
        sending(LONG[:20], then_close=True),
        sending(b"SSH-2.0-OpenSSH_9.2\r\n"),
        sending(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"),
        sending(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        sending(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nxyz"),
    ],
)
def test_an_incomplete_answer_is_an_error(serve: Serving) -> None:
    """A body that is cut off or contradicts its head is an error, never an answer."""
    (error,), _ = post(serve, BODY)
    assert isinstance(error, TeacherError)
    assert error.kind == "connection"
    assert "\n" not in str(error)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_compressed_body_is_read(coding: str) -> None:
    """Compressed bodies are read, since some gateways compress without being asked."""
    packed = gzip.compress(BODY) if coding == "gzip" else zlib.compress(BODY)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n\r\n"
    (found,), _ = post(sending(head % (coding.encode(), len(packed)) + packed), BODY)
    assert isinstance(found, Answer)
    assert found.body == BODY


@pytest.mark.slow
@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=3))
def test_any_bytes_are_an_answer_or_a_teacher_error(data: bytes, cuts: list[int]) -> None:
    """Any bytes give an answer or a TeacherError, no other exception."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        marks = sorted({0, *(cut % (len(data) + 1) for cut in cuts), len(data)})
        for start, end in pairwise(marks):
            writer.write(b"HTTP/1.1 " * (start == 0) + data[start:end])

    (found,), _ = post(serve, BODY)
    assert isinstance(found, Answer | TeacherError)


def test_the_timeout_covers_the_whole_answer() -> None:
    """The timeout covers the whole answer, even if bytes keep arriving; the connection is closed."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        for byte in LONG * 10:
            writer.write(bytes([byte]))
            await asyncio.sleep(0.02)

    answers, taken = post(drip, BODY, BODY, timeout=0.2)
    assert [error.kind for error in answers if isinstance(error, TeacherError)] == ["timeout"] * 2
    assert taken == 2


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a key and a self-signed certificate for localhost."""
    if not shutil.which("openssl"):
        pytest.skip("no openssl on this machine")
    made = tmp_path_factory.mktemp("tls") / "both.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
               "-addext", "subjectAltName=DNS:localhost", "-keyout", f"{made}.key", "-out", f"{made}.crt"]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    made.write_bytes(Path(f"{made}.key").read_bytes() + Path(f"{made}.crt").read_bytes())
    return made


@pytest.mark.slow
def test_tls_needs_a_trusted_certificate(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten megabytes pass over TLS; a self-signed certificate is refused with the cause."""

    def echo(size: int) -> Serving:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                _, body = await request_of(reader)
                assert len(body) == size
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (size, body))
                await writer.drain()

        return serve

    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificate)
    big = b"x" * 10_000_000
    (error,), _ = post(echo(len(big)), big, tls=server)
    assert "certificate verify failed" in str(error)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    answers, taken = post(echo(len(big)), big, big, tls=server)
    assert [answer.body == big for answer in answers if isinstance(answer, Answer)] == [True, True]
    assert taken == 1


def test_the_headers_are_those_of_the_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client sends the SDK's headers, also from the environment, except those about the SDK itself."""
    import openai

    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-1")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Team: Nhóm: 1\nno header\nX-Two:2")
    client = openai.AsyncOpenAI(api_key="sk-1")
    theirs = {name.lower(): value for name, value in {**client.default_headers, **client.auth_headers}.items()}
    expected = {name: value for name, value in theirs.items() if isinstance(value, str) and "stainless" not in name}
    ours = headers("sk-1")
    assert ours.pop("user-agent") != expected.pop("user-agent")
    assert ours == expected


async def connecting(config: RunConfig) -> None:
    connect(config, "sk-secret")


def test_a_header_cannot_inject_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """An invalid header value is refused; the error repeats neither it nor the key."""
    config = RunConfig(provider="openai", model="m", base_url="http://127.0.0.1:9/v1")
    for value in ("a\r\nx: hunter2", "hunter2 đ", "hunter2\x07"):
        monkeypatch.setenv("OPENAI_ORG_ID", value)
        with pytest.raises(ConfigError, match="OPENAI_ORG_ID") as caught:
            asyncio.run(connecting(config))
        assert "hunter2" not in str(caught.value)
        assert "sk-secret" not in str(caught.value)
