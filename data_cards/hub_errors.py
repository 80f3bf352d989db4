"""Turn errors of the Hub's client into one line with a fix, without the token in message or traceback."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from annotator.errors import PublishError
from annotator.terminal.progress import printable

LONGEST: Final = 300
"""Characters of the Hub's own message that are shown."""
_AGAIN: Final = "run the same command again; what was uploaded is not sent twice"
_FIXES: Final = {
    401: "the Hub does not know the token: run `hf auth login`, or set a valid HF_TOKEN",
    403: "the token may not write to {name}: take one with write access, or a name of your own",
    404: "the Hub has no {name} that this token can see, or no such revision: check the name and --revision",
    409: "{name} is being changed by somebody else: run the same command again in a while",
    412: "somebody has committed to {name} meanwhile: look at what is there, then run the same command again",
    413: "the Hub refused it: too large",
    429: "the Hub limits requests: run the same command again later",
}


@contextmanager
def explained(name: str, token: str) -> Iterator[None]:
    """Turn errors of the Hub's client into ``PublishError``.

    Args:
        name: the repository, for the message.
        token: is removed from the message.
    """
    from httpx2 import HTTPError

    try:
        yield
    except (HTTPError, OSError, ValueError, RuntimeError) as error:
        message = " ".join(printable(_message(_root(error), name)).replace(token, "(token)").split())
        leaks = token in "".join(traceback.format_exception(error))  # a proxy or the Hub may send it back
        raise PublishError(message) from (None if leaks else error)


def _root(error: BaseException) -> BaseException:
    """Return the cause of an error that a thread of the upload raised."""
    while isinstance(error, RuntimeError) and error.__cause__:
        error = error.__cause__
    return error


def _message(error: BaseException, name: str) -> str:
    from httpx2 import ConnectError, HTTPError
    from huggingface_hub import constants
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    detail = str(error)[:LONGEST]
    match error:
        case HfHubHTTPError():
            return _refusal(error.response.status_code, (error.server_message or "")[:LONGEST], name)
        case OfflineModeIsEnabled():
            return "HF_HUB_OFFLINE is set: unset it to publish"
        case ConnectError():
            return f"cannot reach the Hub at {constants.ENDPOINT} ({detail}): check the network, then {_AGAIN}"
        case HTTPError():
            return f"the connection to the Hub broke ({detail or type(error).__name__}): {_AGAIN}"
        case ValueError():
            if detail.startswith("Invalid metadata"):
                return f"the Hub refuses the header of the card: {detail}; --licence takes one of its identifiers"
            message = f"the Hub answered what is no answer ({detail}): {_AGAIN}"
        case ConnectionError():  # of hf_xet, which has no types of its own
            message = (
                f"the upload to the Hub's Xet storage failed ({detail}): check that the token may write to {name}"
                f" and that the network lets it through, then {_AGAIN};"
                " HF_HUB_DISABLE_XET=1 before it uploads without Xet"
            )
        case _:
            message = f"the upload failed ({type(error).__name__}: {detail}): {_AGAIN}"
    return message


def _refusal(status: int, message: str, name: str) -> str:
    detail = f" (it says: {message})" if message else ""
    if status >= 500:
        return f"the Hub has trouble, HTTP {status}{detail}: {_AGAIN}"
    return f"{_FIXES.get(status, 'the Hub refused it').format(name=name)}; HTTP {status}{detail}"
