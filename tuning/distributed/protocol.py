"""What a search's chief and its workers say to each other: JSON over HTTP, with a shared secret in a header.

Nothing is encrypted, so the secret and the trials can be read by whoever reads the network between them.
"""

import errno
import http.client
import json
import math
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.errors import UserError
from zoo.utils.atomic_files import written_aside

TOKEN_HEADER = "X-Search-Token"
TOKEN_VARIABLE = "SPEECH_ZOO_TOKEN"
MAX_BODY = 1 << 20  # bytes of a request or an answer
AGAIN = 75  # a worker's exit code: start me again (EX_TEMPFAIL of sysexits.h)
STATUSES = ("completed", "pruned", "infeasible", "failed")
STOP = "stop"  # reported in place of a status: this machine can run no trial, end the search
_MAX_REASON, _MAX_NAME, _MAX_FOLDS = 2000, 100, 1000


@dataclass(frozen=True)
class Access:
    """How to reach a chief: "host:port" (an IPv6 host in brackets) and its secret."""

    address: str
    token: str


def save_access(path: Path, access: Access) -> None:
    """Writes {"address", "token"} so that only this user can read it."""
    with written_aside(path) as aside:
        aside.touch(mode=0o600)
        aside.chmod(0o600)  # one that a kill left behind may have any mode
        aside.write_text(json.dumps({"address": access.address, "token": access.token}) + "\n")


def load_access(path: Path) -> Access:
    """Reads what `save_access` wrote. Raises UserError when it is absent or damaged."""
    try:
        content = json.loads(path.read_text())
        access = Access(content["address"], content["token"])
        if not (isinstance(access.address, str) and isinstance(access.token, str) and access.token):
            raise ValueError("no address and token")
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(
            f"{path}: expected the chief.json of a search, found none or a damaged one ({error}); "
            "copy it from the search's folder while the chief runs"
        ) from error
    return access


def new_token() -> str:
    return secrets.token_urlsafe(32)


def post(access: Access, path: str, content: Mapping[str, Any], timeout: float) -> tuple[int, dict[str, Any]]:
    """Sends one request; returns the answer's status and content.

    Raises OSError when the chief cannot be reached or breaks off. No proxy is used.
    """
    body = json.dumps(content, allow_nan=False).encode()
    connection = http.client.HTTPConnection(access.address, timeout=timeout)
    try:
        headers = {TOKEN_HEADER: access.token, "Content-Type": "application/json"}
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        return answer.status, parse(answer.read(MAX_BODY))
    except (http.client.HTTPException, ValueError) as error:
        raise OSError(f"no answer of a chief: {error}") from error
    finally:
        connection.close()


def parse(body: bytes) -> dict[str, Any]:
    """Returns the JSON object in `body`. Raises ValueError for anything else, NaN and infinities too."""

    def refuse(word: str) -> None:
        raise ValueError(f"{word} is no JSON")

    try:
        content = json.loads(body, parse_constant=refuse)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if not isinstance(content, dict):
        raise ValueError("expected a JSON object")
    return content


def name(content: Mapping[str, Any], key: str) -> str:
    """Returns a short printable string of a request. Raises ValueError for anything else."""
    found = content.get(key)
    if not (isinstance(found, str) and 0 < len(found) <= _MAX_NAME and found.isprintable()):
        raise ValueError(f"{key}: expected 1 to {_MAX_NAME} printable characters")
    return found


def outcome(found: Any) -> dict[str, Any]:
    """Returns a trial's outcome: status, score, folds, reason, epochs, seconds (0 unless given), nothing else.

    Raises ValueError naming what is amiss, e.g. a score that is no finite number.
    """
    if not isinstance(found, Mapping):
        raise ValueError(f"expected a trial's outcome, found {type(found).__name__}")
    status, score, folds = found.get("status"), found.get("score"), found.get("folds", [])
    reason, epochs, seconds = found.get("reason", ""), found.get("epochs", 0), found.get("seconds", 0.0)
    if status not in (*STATUSES, STOP):
        raise ValueError(f"status: expected one of {', '.join(STATUSES)}, found {status!r:.100}")
    if not (_number(score) or (score is None and status != "completed")):
        raise ValueError(f"score: expected a finite number, found {score!r:.100}")
    if not (isinstance(folds, list | tuple) and len(folds) <= _MAX_FOLDS and all(map(_number, folds))):
        raise ValueError(f"folds: expected a list of finite numbers, found {folds!r:.100}")
    if not (isinstance(reason, str) and len(reason) <= _MAX_REASON and reason.isprintable()):
        raise ValueError(f"reason: expected one line of up to {_MAX_REASON} characters, found {reason!r:.100}")
    if not (isinstance(epochs, int) and _number(epochs) and epochs >= 0):
        raise ValueError(f"epochs: expected a count, found {epochs!r:.100}")
    if not (_number(seconds) and seconds >= 0):
        raise ValueError(f"seconds: expected a duration, found {seconds!r:.100}")
    figures = {"status": status, "score": score, "folds": list(folds), "reason": reason}
    return {**figures, "epochs": epochs, "seconds": float(seconds)}


def one_line(text: object) -> str:
    """Returns a message as an outcome's reason may be: one line, printable, of bounded length."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())[:_MAX_REASON]


def failure(reason: object, status: str = "failed") -> dict[str, Any]:
    """Returns the outcome of a trial that gave no score."""
    return outcome({"status": status, "score": None, "reason": one_line(reason)})


def disk_full(error: BaseException | None) -> bool:
    """Whether an error, or one behind it, says that the disk or the user's share of it is full."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        error = error.__cause__ or error.__context__
    return False


def _number(found: Any) -> bool:
    try:
        return isinstance(found, int | float) and not isinstance(found, bool) and math.isfinite(found)
    except OverflowError:  # an integer beyond every float
        return False
