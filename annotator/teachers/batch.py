"""The Batch APIs of OpenAI and Groq: a file of requests is uploaded, files of answers can be downloaded within a day.

``annotator.asking`` decides which questions to send and stores the answers. The SDKs are made by one generator; the
modules of the providers have what differs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from itertools import islice
from typing import IO, Any, Final, NamedTuple, Self

from annotator.config.settings import RunConfig
from annotator.errors import TeacherError, one_line
from annotator.teachers import Question, Reply, require_key
from annotator.teachers.chat import renamed
from annotator.teachers.http import client_options, explained
from annotator.teachers.registry import PROVIDERS
from annotator.teachers.responses import read_reply, words_of

ENDPOINT: Final = "/v1/chat/completions"
WINDOW: Final = "24h"
MARK: Final = "vner_annotate"
"""Name in a batch's metadata under which this program stores the batch's mark."""
LOOK_BACK: Final = 1000
"""The newest batches of the account that are searched."""
ENDED: Final = frozenset({"completed", "failed", "expired", "cancelled"})

# JSON does not escape these, and some readers take them for line ends.
_ESCAPES: Final = str.maketrans({"\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"})


@dataclass(frozen=True, slots=True)
class RemoteBatch:
    """A batch as the provider reports it."""

    id: str
    status: str
    mark: str
    """Empty for a batch of another program."""
    completed: int
    failed: int
    results: tuple[str, ...]
    """Ids of the files to read: answers first, then errors."""
    complaint: str
    """Why the provider did not accept it, on one line."""

    @property
    def ended(self) -> bool:
        """Return whether no further answers will come."""
        return self.status in ENDED


class Result(NamedTuple):
    """One line of a result file: an answer, or why there is none."""

    key: str
    answer: Reply | TeacherError


def request_line(question: Question, sent_as: Mapping[str, str]) -> bytes:
    """Return one line of a request file, with its line end; ``sent_as`` are parameters to send under another name."""
    body = renamed(question.body, sent_as).decode("utf-8").translate(_ESCAPES)
    line = f'{{"custom_id":"{question.key}","method":"POST","url":"{ENDPOINT}","body":{body}}}\n'
    return line.encode("utf-8")


def read_result(line: bytes) -> Result:
    """Read one line of a result file.

    Raises:
        ValueError: it is not one.
    """
    try:
        found = json.loads(line)
        key, response, error = found["custom_id"], found.get("response"), found.get("error")
        if not isinstance(key, str):
            raise TypeError("custom_id is no text")
        if error:
            code = error.get("code") if isinstance(error, dict) else None
            kind = " ".join(str(code or "batch error").replace("_", " ").split())[:60]
            return Result(key, TeacherError(words_of(error), kind=kind))
        status, body = response["status_code"], response["body"]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as problem:
        raise ValueError(f"not a line of batch results: {problem}") from problem
    if status != 200:
        return Result(key, TeacherError(words_of(body), kind=f"http {status}"))
    try:
        return Result(key, read_reply(json.dumps(body).encode("utf-8"), {}))
    except TeacherError as problem:
        return Result(key, problem)


class BatchApi:
    """A provider's files and batches."""

    def __init__(self, config: RunConfig) -> None:
        """Make a client; nothing is sent.

        Raises:
            ConfigError: no key.
        """
        key = require_key(config)
        self._config, self._key = config, key
        self._provider: Any = import_module(PROVIDERS[config.provider].module)
        self._sdk: Any = import_module(config.provider)  # a provider with a Batch API has the name of its SDK
        with explained():
            options = client_options(config, key, self._sdk.DefaultHttpxClient)
            self._client = self._sdk.Client(**options, max_retries=config.max_retries)
        self.address = str(self._client.base_url)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def upload(self, file: IO[bytes], name: str) -> str:
        """Upload a request file and return its id. It costs nothing before a batch is created from it."""
        with self._explained():
            return str(self._client.files.create(file=(name, file, "application/jsonl"), purpose="batch").id)

    def create(self, file_id: str, mark: str) -> RemoteBatch:
        """Create a batch. The request is not retried, since a second batch would be paid too."""
        with self._explained():
            once = self._client.with_options(max_retries=0)
            return _remote(
                once.batches.create(
                    input_file_id=file_id, endpoint=ENDPOINT, completion_window=WINDOW, metadata={MARK: mark}
                )
            )

    def retrieve(self, batch_id: str) -> RemoteBatch:
        """Return the state of a batch."""
        with self._explained():
            return _remote(self._client.batches.retrieve(batch_id))

    def ours(self, mark: str) -> Iterator[RemoteBatch]:
        """Yield the batches of the account with this ``mark``, the newest first."""
        with self._explained():
            for entry in islice(self._provider.list_batches(self._client), LOOK_BACK):
                if (batch := _remote(entry)).mark == mark:
                    yield batch

    def lines(self, file_id: str) -> Iterator[bytes]:
        """Yield the lines of a result file, as they arrive.

        Raises:
            TeacherError: the connection broke; the lines before are complete.
        """
        rest = b""
        with self._explained(), self._client.files.with_streaming_response.content(file_id) as response:
            try:
                for block in response.iter_bytes(1 << 16):
                    *whole, rest = (rest + block).split(b"\n")  # and at nothing else: see _ESCAPES
                    yield from whole
            except Exception as error:  # each SDK has another HTTP library
                message = f"the results broke off ({one_line(error, 200)}); run the same command again"
                raise TeacherError(message, kind="connection") from error
        yield rest

    @contextmanager
    def _explained(self) -> Iterator[None]:
        sdk = self._sdk
        try:
            yield
        except sdk.APIConnectionError as error:  # a time-out is one
            raise TeacherError(
                f"cannot reach {self.address} ({words_of(str(error))}); run the same command again", kind="connection"
            ) from error
        except sdk.APIStatusError as error:
            raise self._status_error(error.status_code, error.body) from error
        except sdk.APIError as error:
            raise TeacherError(
                f"{self.address} sent no answer of a Batch API ({words_of(str(error))})", kind="malformed answer"
            ) from error

    def _status_error(self, status: int, error: object) -> TeacherError:
        key = f"check {PROVIDERS[self._config.provider].key}"
        later = "run the same command again later" if status in (408, 409, 429) or status >= 500 else ""
        fix = {401: key, 403: key, 404: "does it have a Batch API? see --base-url"}.get(status, later)
        line = f"{self.address} answered {status}: {words_of(error, self._key)}"
        return TeacherError(f"{line}; {fix}" if fix else line, kind=f"http {status}")


def _remote(batch: Any) -> RemoteBatch:
    """Return an SDK's batch as ours."""
    counts, errors = batch.request_counts, batch.errors
    metadata = batch.metadata if isinstance(batch.metadata, dict) else {}
    complaints = dict.fromkeys(str(item.message or item.code) for item in (errors and errors.data) or ())
    return RemoteBatch(
        id=str(batch.id),
        status=str(batch.status),
        mark=str(metadata.get(MARK, "")),
        completed=(counts.completed or 0) if counts else 0,
        failed=(counts.failed or 0) if counts else 0,
        results=tuple(file for file in (batch.output_file_id, batch.error_file_id) if file),
        complaint=words_of("; ".join(complaints)) if complaints else "",
    )
