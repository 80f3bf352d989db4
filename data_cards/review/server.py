"""The server of the review page, for this machine alone.

A request is refused unless its path has the random token and its ``Host`` is this machine (otherwise a foreign page
could reach the server through DNS rebinding). A request that changes something must come from the page itself, by
``Origin``.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import os
import secrets
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from importlib import resources
from threading import Thread
from typing import Any, Final

from aiohttp import web

from annotator.cleaning.entity_reviews import MODES
from annotator.errors import AnnotateError, RunDirError
from data_cards.review.session import Session

BODY: Final = 64 * 1024
"""Bytes of the longest answer that is read."""
FILES: Final = {
    "page.html": "text/html",
    "page.css": "text/css",
    "page.js": "text/javascript",
    "passage.js": "text/javascript",
    "editor.js": "text/javascript",
}
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def make_app(session: Session, token: str) -> web.Application:
    """Make the application."""
    app = web.Application(middlewares=[_guard(token)], client_max_size=BODY)

    async def asset(request: web.Request) -> web.Response:
        name = request.match_info.get("name", "page.html")
        if name not in FILES:
            raise web.HTTPNotFound
        text = resources.files("data_cards.review").joinpath("page", name).read_text(encoding="utf-8")
        return web.Response(text=text, content_type=FILES[name], charset="utf-8")

    async def start(_: web.Request) -> web.Response:
        settings = session.settings
        return _json({"types": session.types, "mode": settings.mode, "modes": MODES, "reviewer": settings.reviewer})

    async def next_item(request: web.Request) -> web.Response:
        return _json(session.next(_mode(request.query.get("mode"))))

    async def decide(request: web.Request) -> web.Response:
        answer = await _body(request)
        mode = _mode(answer.get("mode"))
        session.decide(mode, answer)
        return _json(session.next(mode))

    async def undo(request: web.Request) -> web.Response:
        mode = _mode((await _body(request)).get("mode"))
        undone = session.undo()
        if undone is None:
            return _json({**session.next(mode), "message": "Nothing to undo."})
        return _json({**session.next(undone.mode), "item": session.item_of(undone), "message": "Taken back."})

    app.router.add_get(f"/{token}/api/start", start)
    app.router.add_get(f"/{token}/api/next", next_item)
    app.router.add_post(f"/{token}/api/decide", decide)
    app.router.add_post(f"/{token}/api/undo", undo)
    app.router.add_get(f"/{token}/", asset)
    app.router.add_get(f"/{token}/{{name}}", asset)
    return app


def serve(session: Session, port: int, ready: Callable[[str], None]) -> None:
    """Serve until Ctrl-C or SIGTERM. ``ready`` gets the address; port 0 is any free one.

    Raises:
        RunDirError: the port is taken.
    """
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(session, port, ready))


async def _serve(session: Session, port: int, ready: Callable[[str], None]) -> None:
    token = secrets.token_urlsafe(24)
    runner = web.AppRunner(make_app(session, token), access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        try:
            await site.start()
        except OSError as error:
            raise RunDirError(f"cannot listen on port {port}: {error.strerror}; choose another --port") from error
        ended = asyncio.Event()
        if os.name == "posix":
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
        address = f"http://127.0.0.1:{runner.addresses[0][1]}/{token}/"
        Thread(target=ready, args=(address,), daemon=True).start()  # a text browser runs until its user leaves it
        await ended.wait()  # or Ctrl-C
    finally:
        await runner.cleanup()


def _guard(token: str) -> Any:
    """Return the middleware that checks requests and sets the headers of all responses."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await _answer(request, handler, token)
        response.headers.update(HEADERS)
        return response

    return guard


async def _answer(request: web.Request, handler: Handler, token: str) -> web.StreamResponse:
    port = request.transport.get_extra_info("sockname")[1] if request.transport else 0
    hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
    first = request.path.split("/")[1]
    if request.host not in hosts or not hmac.compare_digest(first.encode(), token.encode()):
        return _json({"error": "no such page"}, 404)
    origin = request.headers.get("Origin")
    foreign = origin is not None and origin not in {f"http://{host}" for host in hosts}
    if foreign or (request.method == "POST" and (origin is None or request.content_type != "application/json")):
        return _json({"error": "only the page itself may do that"}, 403)
    try:
        return await handler(request)
    except web.HTTPException as error:
        return _json({"error": error.reason}, error.status)
    except ValueError as error:
        return _json({"error": str(error)}, 400)
    except AnnotateError as error:
        return _json({"error": str(error)}, 500)


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        value = json.loads(await request.read())
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def _mode(value: Any) -> str:
    if value not in MODES:
        raise ValueError("unknown mode")
    return str(value)


def _json(value: Any, status: int = 200) -> web.Response:
    text = json.dumps(value, ensure_ascii=False)
    return web.Response(text=text, status=status, content_type="application/json", charset="utf-8")
