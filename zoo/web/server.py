"""Serve the application on a socket until Ctrl-C."""

import socket
from collections.abc import Sequence

import uvicorn

from zoo.web.api import Api
from zoo.web.app import application

_LEAVING_SECONDS = 3  # for requests under way when the server ends


def serve(api: Api, listening: socket.socket, host: str, names: Sequence[str] = ()) -> None:
    """Serve until Ctrl-C. Requests are not logged, so that no log holds names of recordings."""
    config = uvicorn.Config(
        application(api, host, names),
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        ws="none",
        timeout_graceful_shutdown=_LEAVING_SECONDS,
    )
    uvicorn.Server(config).run(sockets=[listening])
