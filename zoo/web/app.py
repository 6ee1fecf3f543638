"""Put the pages, their files and the requests together into one ASGI application."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

import zoo.pages
from zoo.web.api import HANDLED, STATIC, Api
from zoo.web.security import PAGES, Guard

_PAGES = {path: f"{path.strip('/') or 'recordings'}.html" for path in PAGES}
_SHARED = Path(zoo.pages.__file__).parent  # libraries and the style that reports have too


def application(api: Api, host: str, names: Sequence[str] = ()) -> ASGIApp:
    """Return the application; `host` is the address it listens on, `names` are further names of it."""
    one = "/api/recordings/{file:str}"
    routes = [
        *(Route(path, _page, methods=["GET"]) for path in _PAGES),
        Route("/static/page.css", _style),
        Mount("/static", StaticFiles(directory=STATIC)),
        Mount("/vendor", StaticFiles(directory=_SHARED / "vendor")),
        Route("/api/login", api.login, methods=["POST"]),
        Route("/api/state", api.state),
        Route("/api/recordings", api.recordings, methods=["GET"]),
        Route("/api/recordings", api.upload, methods=["POST"]),
        Route(one, api.describe, methods=["PATCH"]),
        Route(one, api.remove, methods=["DELETE"]),
        Route(f"{one}/audio", api.audio),
        Route(f"{one}/view", api.view),
        Route(f"{one}/segments", api.segments),
        Route(f"{one}/labels", api.label, methods=["POST"]),
        Route(f"{one}/spectrogram/{{channel:int}}.png", api.spectrogram),
        Route("/api/queue", api.queue),
        Route("/api/segments.csv", api.rows_csv),
        Route("/api/labels.csv", api.labels_csv),
        Route("/api/training", api.training, methods=["GET"]),
        Route("/api/training", api.begin, methods=["POST"]),
        Route("/api/training/{number:str}/comparison", api.compare),
        Route("/api/training/{number:str}/{action:str}", api.change, methods=["POST"]),
    ]

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        api.trainings.close()

    return Guard(Starlette(routes=routes, exception_handlers=HANDLED, lifespan=lifespan), host, api.token, names)


async def _page(request: Request) -> Response:
    text = (STATIC / _PAGES[request.url.path]).read_text(encoding="utf-8")
    return HTMLResponse(text.replace("{{nonce}}", request.scope["nonce"]))


async def _style(_request: Request) -> Response:
    return FileResponse(_SHARED / "templates" / "page.css")
