"""Serve the trials of a search to workers over HTTP, unencrypted, until the search is done."""

import hmac
import json
import secrets
import signal
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuning.distributed import protocol
from tuning.distributed.leases import Desk
from tuning.distributed.local_workers import Crew
from tuning.distributed.protocol import Access
from tuning.trials import COUNTED, outcome
from zoo.errors import UserError

if TYPE_CHECKING:
    from tuning.search import Search

_TICK_SECONDS = 0.05
_FAREWELL_SECONDS = 5.0  # at most, until all workers know that the search is done


def serve(
    search: "Search",
    folder: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    workers: int = 1,
    threads: int | None = None,
    runner: str = "tuning.run_trial:run",
    lease_seconds: float = 30.0,
    trials_per_process: int = 10,
    on_event: Callable[[str], None] = print,
) -> None:
    """Run a search to its end, with `workers` processes here and any that join from elsewhere.

    FOLDER/chief.json has address and token until the chief ends. Restarted at the same address after an interruption
    or a kill, the chief keeps the token, so that workers elsewhere go on. A trial whose worker is silent for
    `lease_seconds` goes to another. Raises UserError when the port is taken, local workers cannot start, or a disk is
    full; KeyboardInterrupt on Ctrl-C and SIGTERM.
    """
    if sum(trial.status in COUNTED for trial in search.trials) >= search.asked:
        _forget(folder)
        return
    desk = Desk(search, lease_seconds, on_event)
    killed = (folder / protocol.ACCESS).exists()
    with _listening(desk, folder, host, port) as access, _sigterm_interrupts():
        on_event(f"chief at {access.address}; workers elsewhere need {folder / protocol.ACCESS}")
        if killed:
            on_event(f"a former chief ended without removing {folder / protocol.ACCESS}; it is written anew")
        host, _, port_used = access.address.rpartition(":")
        # One cannot connect to "all addresses".
        host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "[::]": "[::1]"}.get(host, host)
        near = Access(f"{host}:{port_used}", access.token)
        options = ["--runner", runner, "--trials-per-process", str(trials_per_process)]
        crew = Crew(workers, folder, near, options, threads)
        try:
            while not desk.over():
                crew.tend(desk)
                desk.expire()
                time.sleep(_TICK_SECONDS)
            end = time.monotonic() + _FAREWELL_SECONDS
            while (crew.alive() or desk.anyone_waiting()) and time.monotonic() < end:
                time.sleep(_TICK_SECONDS)
        finally:
            desk.close()
            crew.stop()
    _forget(folder)


def _forget(folder: Path) -> None:
    """Remove the token of a search that is done, or of one whose chief was killed at the end."""
    for name in (protocol.ACCESS, protocol.FORMER):
        (folder / name).unlink(missing_ok=True)


@contextmanager
def _listening(desk: Desk, folder: Path, host: str, port: int) -> Iterator[Access]:
    """Answer requests in threads; yield the address and the token, once chief.json has them."""
    try:
        server = _Server((host, port), desk)
    except (OSError, OverflowError) as error:
        raise UserError(f"--port {port} on --host {host}: not available ({error}); give another --port") from error
    with server:
        bracketed = f"[{host}]" if ":" in host else host
        access = Access(f"{bracketed}:{server.server_address[1]}", server.token)
        place, former_place = folder / protocol.ACCESS, folder / protocol.FORMER
        former = protocol.load_access(place) or protocol.load_access(former_place)  # the first only after a kill
        if former and former.address == access.address:
            access = former
        protocol.save_access(place, access)
        server.token = access.token
        thread = threading.Thread(target=server.serve_forever, args=(_TICK_SECONDS,), daemon=True)
        thread.start()
        try:
            yield access
        finally:
            server.shutdown()
            thread.join()
            with suppress(FileNotFoundError):  # someone removed it
                place.replace(former_place)


@contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """Make SIGTERM end the search as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():  # signals do not reach it
        yield
        return
    former = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], desk: Desk):
        self.desk, self.token = desk, secrets.token_urlsafe(32)
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)  # HTTPServer's looks up its name: slow

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a worker that breaks off."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 10.0  # seconds a worker may be silent within a request

    def do_POST(self) -> None:
        status, answer = self._answer()
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _answer(self) -> tuple[HTTPStatus, dict[str, Any]]:
        """Return the status and the content of the answer to a request."""
        desk, stopping = self.server.desk, (HTTPStatus.SERVICE_UNAVAILABLE, {"error": "the chief is stopping"})
        try:
            length = int(self.headers.get("Content-Length", ""))
            if not (0 <= length <= protocol.MAX_BODY and self.path in ("/next", "/beat", "/finish")):
                raise ValueError("no request that a worker sends")
            body = self.rfile.read(length)  # first: a client that is cut off cannot read why not
            given = self.headers.get(protocol.TOKEN_HEADER, "").encode("latin-1", "replace")
            if not hmac.compare_digest(given, self.server.token.encode()):
                return HTTPStatus.FORBIDDEN, {"error": "wrong or no token"}
            content = protocol.parse(body)
            worker, process, trial = names = [content.get(name, "") for name in ("worker", "process", "trial")]
            if not all(isinstance(name, str) and name.isprintable() for name in names):
                raise ValueError("worker, process, trial: expected printable words")
            result = outcome(content["outcome"]) if self.path == "/finish" else {}
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            return HTTPStatus.BAD_REQUEST, {"error": str(error)}
        if desk.closed:
            return stopping
        try:
            if self.path == "/next":
                return HTTPStatus.OK, desk.next(worker, process)
            if self.path == "/beat":
                held = desk.beat(process, trial, content.get("running") is True)
            else:
                held = desk.finish(worker, process, trial, result)
        except ValueError as error:  # an outcome that is impossible for this search
            return HTTPStatus.BAD_REQUEST, {"error": str(error)}
        except Exception as error:  # the search's own, e.g. a full disk: `serve` raises it
            desk.fail(error)
            return stopping
        return HTTPStatus.OK if held else HTTPStatus.CONFLICT, {}

    def log_message(self, format: str, *args: Any) -> None:
        """Log no requests."""
