"""What stands before every route: who may ask, from where, and what browsers are told."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from netvlad.errors import first_line
from netvlad.serve.problems import Refusal, problem
from netvlad.serve.settings import is_loopback

log = logging.getLogger("netvlad.serve")
OPEN = ("/", "/healthz", "/readyz")  # need no token, and neither does anything below /page/: these know nothing
DISCARDING = 2.0  # seconds for which the rest of a refused body is read: a sender that is cut off reads no answer
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:{tiles}; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Guard:
    """Refuses callers without the token, requests of other sites, and names that are not this machine's.

    token: "" for none; the server is then bound to loopback, and a Host that is not loopback is a site whose name
    was pointed at this machine. tiles: the origin that map tiles come from, "" for none. answered: is told the route
    and the status of each answer.
    """

    def __init__(self, app: ASGIApp, token: str, tiles: str, answered: Callable[[str, int], None]) -> None:
        self.app, self.token, self._answered = app, token.encode(), answered
        policy = POLICY.format(tiles=f" {tiles}" if tiles else "")
        self._headers = {
            "Content-Security-Policy": policy,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "strict-origin-when-cross-origin",  # public tile servers ask for the origin
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        started = False

        async def with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                self._answered(scope["route"].path if "route" in scope else "none", message["status"])
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers[name] = value
            await send(message)

        ended = Ended(receive)
        try:
            self._check(Headers(scope=scope), scope["path"])
        except Refusal as refusal:
            await ended.discard()
            await refusal.response()(scope, receive, with_headers)
            return
        scope["discard"] = ended.discard
        try:
            await self.app(scope, ended, with_headers)
        except Exception as e:
            log.exception("%s: %s", type(e).__name__, first_line(e))
            if not started:
                await problem(500, "the server failed; its log has more")(scope, receive, with_headers)

    def _check(self, headers: Headers, path: str) -> None:
        host = headers.get("host", "")
        if not self.token and not is_loopback(_without_port(host)):
            raise Refusal(421, "the server has no token and answers only to the names of this machine: 127.0.0.1")
        origin = headers.get("origin")
        foreign = origin is not None and origin.partition("://")[2] != host
        if foreign or (headers.get("sec-fetch-site") == "cross-site" and path not in OPEN):
            raise Refusal(403, "pages of other sites may not ask this server")
        if path in OPEN or path.startswith("/page/") or not self.token:
            return
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), self.token):
            raise Unauthorised()


class Unauthorised(Refusal):
    """A request without the token."""

    def __init__(self) -> None:
        super().__init__(401, "send the server's token: Authorization: Bearer TOKEN")
        self.headers["WWW-Authenticate"] = "Bearer"


class Ended:
    """Receives a body, and can discard what is left of it."""

    def __init__(self, receive: Receive) -> None:
        self._receive, self._over = receive, False

    async def __call__(self) -> Message:
        message = await self._receive()
        self._over = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    async def discard(self) -> None:
        """Read on, and keep nothing, until the body ends or `DISCARDING` seconds have passed."""
        with anyio.move_on_after(DISCARDING):
            while not self._over:
                await self()


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
