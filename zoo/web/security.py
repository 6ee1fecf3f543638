"""Let only the page of this server speak to it: checks of Host, Origin and token, and headers of answers.

A browser may be led by any web site to send requests to this computer. Host: a site that lets its name lead here
(DNS rebinding) still says its own name. Origin: other sites' forms and programs say where they come from.
"""

import hmac
import ipaddress
import secrets
import socket
from collections.abc import Sequence
from hashlib import sha256

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "ser_session"
OPEN_PATHS = ("/static/", "/vendor/")  # programs and styles, which are the same for everybody
PAGES = ("/", "/recording", "/queue", "/training")  # without content until the token is given
MOST_JSON_BYTES = 65_536
_CROSS = ("cross-site", "same-site")
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Cache-Control": "no-store",
}
# The nonce is for the one style sheet that wavesurfer.js puts into its shadow tree; there are no inline programs.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data:; "
    "media-src 'self' blob:; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)


def is_loopback(host: str) -> bool:
    """Say whether an address to listen on is reached from this computer only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def session_of(token: str) -> str:
    """Return what the cookie holds: it opens the page as the token does, and does not tell it."""
    return sha256(f"ser web {token}".encode()).hexdigest()


class Guard:
    """ASGI middleware of these checks. Without a `token` none is asked for; `names` are further ones of this host."""

    def __init__(self, app: ASGIApp, host: str, token: str = "", names: Sequence[str] = ()):
        self._app, self._token = app, token
        self._everywhere = not is_loopback(host)
        own = {host.strip("[]"), *names}
        self._names = {name.casefold() for name in own | ({socket.gethostname()} if self._everywhere else set())}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        headers, nonce = Headers(scope=scope), secrets.token_urlsafe(16)
        scope["nonce"] = nonce

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                found = MutableHeaders(scope=message)
                for name, value in {**_HEADERS, "Content-Security-Policy": _POLICY.format(nonce=nonce)}.items():
                    found.setdefault(name, value)
            await send(message)

        refusal = self._refusal(scope, headers)
        if refusal:
            await JSONResponse({"error": refusal[1]}, refusal[0])(scope, receive, with_headers)
        else:
            await self._app(scope, receive, with_headers)

    def _refusal(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        """Return the status and the sentence with which a request is refused, None for one that may pass."""
        host = headers.get("host", "")
        if not self._is_ours(host):
            return 403, f"This server is not called {host[:80]!r}. Open it by the address that ser web printed"
        origin = headers.get("origin")
        if origin is not None and origin.casefold() not in (f"http://{host}".casefold(), f"https://{host}".casefold()):
            return 403, "This request comes from another web site, and is refused"
        is_page = scope["method"] in ("GET", "HEAD") and scope["path"] in PAGES
        if headers.get("sec-fetch-site") in _CROSS and not is_page:
            return 403, "This request comes from another web site, and is refused"
        if scope["path"].startswith(OPEN_PATHS) or is_page or scope["path"] == "/api/login":
            return None
        if self._token and not self._may_enter(headers):
            return 401, "Give the token that ser web printed when it started"
        return None

    def _is_ours(self, host: str) -> bool:
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        name = name.strip("[]").casefold()
        if name in self._names or (name == "localhost" or is_loopback(name)):
            return True
        if not self._everywhere:
            return False
        try:
            ipaddress.ip_address(name)  # no name leads here by itself
        except ValueError:
            return False
        return True

    def _may_enter(self, headers: Headers) -> bool:
        given = headers.get("authorization", "").removeprefix("Bearer ")
        cookie = cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
        return same(given, self._token) or same(cookie, session_of(self._token))


def same(given: str, expected: str) -> bool:
    """Compare in a time that does not tell how much is right."""
    return hmac.compare_digest(given.encode(errors="surrogatepass"), expected.encode())
