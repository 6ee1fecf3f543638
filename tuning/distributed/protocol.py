"""Requests between a search's chief and its workers: JSON over HTTP, with a token in a header."""

import http.client
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from zoo.utils.atomic_files import written_aside

ACCESS = "chief.json"  # in the search's folder, while its chief runs
FORMER = "chief-interrupted.json"  # what it becomes when the search is interrupted: the next chief takes the token
TOKEN_HEADER = "X-Search-Token"
TOKEN_VARIABLE = "SPEECH_ZOO_TOKEN"
MAX_BODY = 1 << 20  # bytes of a request or an answer
AGAIN = 75  # a worker's exit code: start me again (EX_TEMPFAIL of sysexits.h)


@dataclass(frozen=True)
class Access:
    """Address of a chief, "host:port" (an IPv6 host in brackets), and its token."""

    address: str
    token: str


def save_access(path: Path, access: Access) -> None:
    """Write {"address", "token", "pid"} so that only this user can read it."""
    with written_aside(path) as aside:
        aside.touch(mode=0o600)
        aside.chmod(0o600)  # one that a kill left behind may have any mode
        aside.write_text(json.dumps({**asdict(access), "pid": os.getpid()}) + "\n")


def load_access(path: Path) -> Access | None:
    """Read what `save_access` wrote; None when it is absent or damaged."""
    try:
        found = parse(path.read_bytes())
        address, token = found["address"], found["token"]
    except (OSError, ValueError, KeyError, RecursionError):
        return None
    usable = all(isinstance(text, str) and text.isascii() and text.isprintable() and text for text in (address, token))
    return Access(address, token) if usable else None


def post(access: Access, path: str, content: Mapping[str, Any], timeout: float) -> tuple[int, dict[str, Any]]:
    """Send one request without a proxy; return the answer's status and content.

    Raises OSError when the chief cannot be reached or breaks off.
    """
    connection = http.client.HTTPConnection(access.address, timeout=timeout)
    try:
        connection.request("POST", path, json.dumps(content), {TOKEN_HEADER: access.token})
        answer = connection.getresponse()
        return answer.status, parse(answer.read(MAX_BODY))
    except (http.client.HTTPException, ValueError) as error:
        raise OSError(f"no answer of a chief: {error}") from error
    finally:
        connection.close()


def parse(body: bytes) -> dict[str, Any]:
    """Return the JSON object in `body`. Raises ValueError for anything else."""
    content = json.loads(body)
    if not isinstance(content, dict):
        raise ValueError("expected a JSON object")
    return content
