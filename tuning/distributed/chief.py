"""The chief of a search: hands trials to workers over HTTP and keeps the local ones alive until the search is done.

A request carries the search's secret, kept in chief.json for this user alone; nothing is encrypted. Listen beyond the
loopback only where the network is trusted, or lay an encrypted tunnel (ssh -L) to the loopback.
"""

import hmac
import json
import signal
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuning.distributed import protocol
from tuning.distributed.leases import Desk
from tuning.distributed.local_workers import Crew
from tuning.distributed.protocol import Access
from zoo.errors import UserError

if TYPE_CHECKING:
    from tuning.search import Search

_TICK_SECONDS = 0.05
_FAREWELL_SECONDS = 5.0  # for the workers to hear that the search is done
_FINISHED = ("completed", "pruned", "failed")


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
    """Runs a search to its end, with `workers` processes of this machine and any that join from elsewhere.

    Port 0 is any free one. Address and secret lie in FOLDER/chief.json while it runs; started again at the same
    address after a crash, it takes the same secret, so that workers elsewhere go on. A trial whose worker is not heard
    for `lease_seconds` goes to another one. What local workers print lies in FOLDER/workers. `threads` is given to
    each of them, an even share of the cores unless set.

    Raises UserError when the port cannot be had, local workers cannot start, or a worker's disk is full;
    KeyboardInterrupt on Ctrl-C and SIGTERM, after the workers are ended.
    """
    if sum(trial.status in _FINISHED for trial in search.trials) >= search.asked:
        return
    desk = Desk(search, lease_seconds, on_event)
    with _listening(desk, folder, host, port) as access, _sigterm_interrupts():
        on_event(f"chief at {access.address}; workers elsewhere need {folder / 'chief.json'}")
        crew = Crew(workers, folder, _near(access), runner, trials_per_process, threads)
        try:
            while not desk.over():
                crew.tend(desk)
                desk.expire()
                time.sleep(_TICK_SECONDS)
            _farewell(desk, crew)
        finally:
            desk.close()
            crew.stop()


def _farewell(desk: Desk, crew: Crew) -> None:
    """Answers until every worker was told that the search is done."""
    end = time.monotonic() + _FAREWELL_SECONDS
    while (crew.alive() or desk.anyone_waiting()) and time.monotonic() < end:
        time.sleep(_TICK_SECONDS)


@contextmanager
def _listening(desk: Desk, folder: Path, host: str, port: int) -> Iterator[Access]:
    """Answers requests in threads of its own; yields the address and the secret, which are in chief.json by then."""
    try:
        server = _Server((host, port), desk)
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(
            f"--port {port} on --host {host}: cannot be listened on ({reason}); another search may have it: "
            "give another --port, or none for any free one"
        ) from error
    with server:
        bracketed = f"[{host}]" if ":" in host else host
        access = Access(f"{bracketed}:{server.server_address[1]}", "")
        access = Access(access.address, _former_token(folder / "chief.json", access.address) or protocol.new_token())
        protocol.save_access(folder / "chief.json", access)
        server.token = access.token
        thread = threading.Thread(target=server.serve_forever, args=(_TICK_SECONDS,), daemon=True)
        thread.start()
        try:
            yield access
        finally:
            server.shutdown()
            thread.join()


def _former_token(path: Path, address: str) -> str | None:
    try:
        former = protocol.load_access(path)
    except UserError:  # none, or a damaged one: the search needs none of it
        return None
    return former.token if former.address == address else None


def _near(access: Access) -> Access:
    """The address for workers of this machine: one cannot connect to "all interfaces"."""
    host, _, port = access.address.rpartition(":")
    return Access({"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "[::]": "[::1]"}.get(host, host) + f":{port}", access.token)


@contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """SIGTERM ends the search as Ctrl-C does. Signals reach the main thread alone."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], desk: Desk):
        self.desk, self.token = desk, protocol.new_token()
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)  # HTTPServer's looks its own name up, which may take seconds

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A worker that breaks off is no error of the chief. Others never get here: see `_Handler._answer`."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 10.0  # seconds a worker may be silent within a request

    def do_POST(self) -> None:
        routes = {"/next": self._next, "/beat": self._beat, "/finish": self._finish}
        self._answer(routes.get(self.path))

    def do_GET(self) -> None:
        self._answer({"/status": lambda content: (HTTPStatus.OK, self.server.desk.status())}.get(self.path))

    def _answer(self, route: Callable[[dict[str, Any]], tuple[HTTPStatus, dict]] | None) -> None:
        desk = self.server.desk
        try:
            body = self._body()  # read even where it is refused: a client that is cut off cannot read why
            given = self.headers.get(protocol.TOKEN_HEADER, "").encode("latin-1", "replace")
            if not hmac.compare_digest(given, self.server.token.encode()):
                return self._send(HTTPStatus.FORBIDDEN, {"error": "wrong or no token"})
            if route is None:
                return self._send(HTTPStatus.NOT_FOUND, {"error": "no such request"})
            content = protocol.parse(body) if self.command == "POST" else {}
        except ValueError as error:
            return self._send(HTTPStatus.BAD_REQUEST, {"error": str(error)})
        if desk.closed:
            return self._send(HTTPStatus.SERVICE_UNAVAILABLE, {"error": "the chief is stopping"})
        try:
            status, answer = route(content)
        except _RequestError as error:
            status, answer = HTTPStatus.BAD_REQUEST, {"error": str(error)}
        except Exception as error:  # the search's own, e.g. a full disk: it is raised where `serve` was called
            desk.fail(error)
            status, answer = HTTPStatus.SERVICE_UNAVAILABLE, {"error": "the chief is stopping"}
        return self._send(status, answer)

    def _body(self) -> bytes:
        if self.command == "GET":
            return b""
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit() and len(length) < 9 and int(length) <= protocol.MAX_BODY):
            raise ValueError(f"Content-Length: expected up to {protocol.MAX_BODY}, found {length[:20]!r}")
        return self.rfile.read(int(length))

    def _next(self, content: dict[str, Any]) -> tuple[HTTPStatus, dict]:
        worker, process = _names(content, "worker", "process")
        return HTTPStatus.OK, self.server.desk.next(worker, process)

    def _beat(self, content: dict[str, Any]) -> tuple[HTTPStatus, dict]:
        _, process, trial = _names(content, "worker", "process", "trial")
        return _held(self.server.desk.beat(process, trial, content.get("running") is True))

    def _finish(self, content: dict[str, Any]) -> tuple[HTTPStatus, dict]:
        worker, process, trial = _names(content, "worker", "process", "trial")
        try:
            outcome = protocol.outcome(content.get("outcome"))
        except ValueError as error:
            raise _RequestError(str(error)) from error
        return _held(self.server.desk.finish(worker, process, trial, outcome))

    def _send(self, status: HTTPStatus, content: Mapping[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not logged; what happens to trials is told by `on_event`."""


class _RequestError(Exception):
    """A request that is JSON but not what is asked for there."""


def _names(content: Mapping[str, Any], *keys: str) -> list[str]:
    try:
        return [protocol.name(content, key) for key in keys]
    except ValueError as error:
        raise _RequestError(str(error)) from error


def _held(yes: bool) -> tuple[HTTPStatus, dict]:
    if yes:
        return HTTPStatus.OK, {}
    return HTTPStatus.CONFLICT, {"error": "this process does not hold that trial (any more)"}
