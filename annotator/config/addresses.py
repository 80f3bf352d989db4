"""Check addresses of endpoints and ledgers, and remove secrets from addresses before they are stored or shown."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from annotator.errors import ConfigError

LEDGER_VARIABLE: Final = "VNER_LEDGER"
"""Environment variable with the address of a ledger, password included, for a run directory that has none yet."""
PASSWORDS: Final = frozenset({"password", "sslpassword"})
"""Names of libpq for passwords in the query of an address."""
_EXAMPLE: Final = "give one such as http://localhost:8000/v1"
_HARMLESS: Final = frozenset(
    {"config", "dl", "download", "export", "file", "filename", "format", "name", "page", "path", "raw", "ref",
     "revision", "split", "version"}
)  # fmt: skip
"""Parameters of an address that are stored; any other may be a key, a token or a signature."""


def check_endpoint(url: str, where: str) -> None:
    """Refuse an address that is not one of an endpoint, or may have a secret, since it is stored and shown.

    Raises:
        ConfigError: it is neither empty nor an HTTP address; or it has a user, a password, a query or a fragment, which
            the message does not repeat.
    """
    if not url:
        return
    try:
        parts = urlsplit(url)
        parts.netloc.encode("idna")
        is_endpoint = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        raise ConfigError(f"{where} is not the address of an endpoint; {_EXAMPLE}") from None
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ConfigError(
            f"{where} must be an address alone, without user, password or query, since it is stored; "
            "keys come from the environment (docs/reliability.md)"
        )
    if not is_endpoint or any(letter.isspace() or not letter.isprintable() for letter in url):
        raise ConfigError(f"{where} {url!r} is not the address of an endpoint; {_EXAMPLE}")


def without_password(ledger: str) -> str:
    """Return the address of a ledger without passwords, to be stored and shown."""
    parts = urlsplit(ledger)
    user, at, host = parts.netloc.rpartition("@")
    query = [(name, value) for name, value in parse_qsl(parts.query) if name not in PASSWORDS]
    place = f"{parts.scheme}://{user.partition(':')[0]}{at}{host}{parts.path}"
    return place + (f"?{urlencode(query)}" if query else "") if ledger else ""


def check_ledger(ledger: str) -> None:
    """Refuse an address that is not one of a ledger, or has a password: settings are stored and shown.

    Raises:
        ConfigError: without the password in its message.
    """
    if not ledger:
        return
    parts = urlsplit(ledger)
    if parts.scheme not in ("postgresql", "postgres"):
        raise ConfigError("--ledger needs postgresql://HOST/DATABASE, or nothing for SQLite in the run directory")
    if parts.password is not None or PASSWORDS & {name for name, _ in parse_qsl(parts.query)}:
        raise ConfigError(
            "--ledger holds a password, which would be stored; leave it out and set PGPASSWORD, "
            f"or give the whole address in the environment as {LEDGER_VARIABLE}"
        )


def without_secrets(address: str) -> str:
    """Return an address without user, password, fragment and parameters that may be secret; other text as it is.

    ``https://me:pw@host/x.csv?version=2&X-Amz-Signature=...`` becomes ``https://host/x.csv?version=2``.
    """
    if "://" not in address:
        return address
    try:
        parts = urlsplit(address)
        query = urlencode([(name, value) for name, value in parse_qsl(parts.query) if name.lower() in _HARMLESS])
    except ValueError:
        return address.partition("://")[0] + "://"
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query=query, fragment="").geturl()
