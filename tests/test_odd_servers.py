"""HTTP against servers that say what they like, in whatever pieces, and close when they like."""

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
    """The head and the body of the next request."""
    head = await reader.readuntil(b"\r\n\r\n")
    return head, await reader.readexactly(int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]))


def post(serve: Serving, *bodies: bytes, timeout: float = 5.0, tls: ssl.SSLContext | None = None,
         at_once: bool = False) -> tuple[list[Answer | BaseException], int]:  # fmt: skip
    """What comes of posting ``bodies`` one after the other, and how many connections that took."""
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
                await asyncio.sleep(0.01)  # what the server does next arrives
        await client.close()
        server.close()
        return answers

    return asyncio.run(work()), taken


def saying(*parts: bytes, then_close: bool = False) -> Serving:
    """Answer every request with ``parts``, each a packet of its own."""

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
def test_an_answer_is_the_same_in_whatever_pieces_it_comes(answer: bytes, cuts: list[int]) -> None:
    """Sent byte by byte or at once."""
    marks = sorted({0, *(cut % (len(answer) + 1) for cut in cuts), len(answer)})
    (found,), _ = post(saying(*(answer[start:end] for start, end in pairwise(marks))), BODY)
    assert isinstance(found, Answer)
    assert (found.status, found.body) == (200, BODY)


def test_a_connection_is_asked_again_and_again() -> None:
    """Head and body arrive whole, the connection stays."""
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
    """Each request waits for its own answer."""

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
        (saying(LAST), 2),
        (saying(TO_THE_END, then_close=True), 2),
        (saying(LONG, then_close=True), 2),  # without a word
        (saying(LONG + b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"), 2),  # an answer that nobody asked for
        (saying(LONG, b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"), 2),
        (saying(LONG.replace(b"HTTP/1.1", b"HTTP/1.0")), 2),
        (saying(CHUNKED), 1),
        (saying(EARLY), 1),
    ],
)
def test_a_connection_that_cannot_be_asked_again_is_not(serve: Serving, connections: int) -> None:
    """Whoever says so, and however; both requests are answered."""
    answers, taken = post(serve, BODY, BODY)
    assert [(answer.status, answer.body) for answer in answers if isinstance(answer, Answer)] == [(200, BODY)] * 2
    assert taken == connections


@pytest.mark.parametrize(
    "serve",
    [
        saying(b"", then_close=True),
        saying(LONG[:-1], then_close=True),
        saying(CHUNKED[:-5], then_close=True),
        saying(CHUNKED[:-1], then_close=True),
        saying(LONG[:20], then_close=True),
        saying(b"SSH-2.0-OpenSSH_9.2\r\n"),
        saying(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"),
        saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        saying(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nxyz"),
    ],
)
def test_half_an_answer_is_none(serve: Serving) -> None:
    """A body that was cut off, or that is not what its head says, is never taken for a whole one."""
    (error,), _ = post(serve, BODY)
    assert isinstance(error, TeacherError)
    assert error.kind == "connection"
    assert "\n" not in str(error)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_compressed_body_is_read(coding: str) -> None:
    """Some gateways compress whatever they are asked for."""
    packed = gzip.compress(BODY) if coding == "gzip" else zlib.compress(BODY)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n\r\n"
    (found,), _ = post(saying(head % (coding.encode(), len(packed)) + packed), BODY)
    assert isinstance(found, Answer)
    assert found.body == BODY


@pytest.mark.slow
@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=3))
def test_bytes_from_anywhere_are_an_answer_or_an_error(data: bytes, cuts: list[int]) -> None:
    """Never another exception than the one that is waited for."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        marks = sorted({0, *(cut % (len(data) + 1) for cut in cuts), len(data)})
        for start, end in pairwise(marks):
            writer.write(b"HTTP/1.1 " * (start == 0) + data[start:end])

    (found,), _ = post(serve, BODY)
    assert isinstance(found, Answer | TeacherError)


def test_the_whole_answer_must_be_there_in_time() -> None:
    """However often a piece of it comes; the connection is given up."""

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
    """A key and a certificate for localhost, signed by nobody."""
    if not shutil.which("openssl"):
        pytest.skip("no openssl on this machine")
    made = tmp_path_factory.mktemp("tls") / "both.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
               "-addext", "subjectAltName=DNS:localhost", "-keyout", f"{made}.key", "-out", f"{made}.crt"]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    made.write_bytes(Path(f"{made}.key").read_bytes() + Path(f"{made}.crt").read_bytes())
    return made


@pytest.mark.slow
def test_tls_is_spoken_to_whom_one_trusts(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten megabytes there and back; a certificate that nobody signed is refused, and named as the cause."""

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
    """All that it sends, but for what it says about itself; the environment is read alike."""
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


def test_a_header_cannot_bring_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor what no header can hold; the message repeats neither it nor the key."""
    config = RunConfig(provider="openai", model="m", base_url="http://127.0.0.1:9/v1")
    for value in ("a\r\nx: hunter2", "hunter2 đ", "hunter2\x07"):
        monkeypatch.setenv("OPENAI_ORG_ID", value)
        with pytest.raises(ConfigError, match="OPENAI_ORG_ID") as caught:
            asyncio.run(connecting(config))
        assert "hunter2" not in str(caught.value)
        assert "sk-secret" not in str(caught.value)
