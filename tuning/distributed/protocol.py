"""Requests between a search's chief and its workers: JSON over unencrypted HTTP, with a token in a header."""

import errno
import http.client
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuning.trials import ENDS
from zoo.utils.atomic_files import written_aside

TOKEN_HEADER = "X-Search-Token"
TOKEN_VARIABLE = "SPEECH_ZOO_TOKEN"
MAX_BODY = 1 << 20  # bytes of a request or an answer
AGAIN = 75  # a worker's exit code: start me again (EX_TEMPFAIL of sysexits.h)
STOP = "stop"  # in place of a status: this machine can run no trial, end the search
_MAX_REASON, _MAX_NAME, _MAX_FOLDS = 2000, 100, 1000


@dataclass(frozen=True)
class Access:
    """Address of a chief, "host:port" (an IPv6 host in brackets), and its token."""

    address: str
    token: str


def save_access(path: Path, access: Access) -> None:
    """Write {"address", "token"} so that only this user can read it."""
    with written_aside(path) as aside:
        aside.touch(mode=0o600)
        aside.chmod(0o600)  # one that a kill left behind may have any mode
        aside.write_text(json.dumps({"address": access.address, "token": access.token}) + "\n")


def load_access(path: Path) -> Access | None:
    """Read what `save_access` wrote; None when it is absent or damaged."""
    try:
        content = json.loads(path.read_text())
        access = Access(content["address"], content["token"])
        return access if isinstance(access.address, str) and isinstance(access.token, str) and access.token else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def post(access: Access, path: str, content: Mapping[str, Any], timeout: float) -> tuple[int, dict[str, Any]]:
    """Send one request without a proxy; return the answer's status and content.

    Raises OSError when the chief cannot be reached or breaks off.
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
    """Return the JSON object in `body`. Raises ValueError for anything else, NaN and infinities too."""

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
    """Return a short printable string of a request. Raises ValueError for anything else."""
    found = content.get(key)
    if not (isinstance(found, str) and 0 < len(found) <= _MAX_NAME and found.isprintable()):
        raise ValueError(f"{key}: expected 1 to {_MAX_NAME} printable characters")
    return found


def outcome(found: Any) -> dict[str, Any]:
    """Return a trial's outcome: status, score, folds, reason, epochs, seconds (0 unless given), nothing else.

    Raises ValueError naming what is wrong, e.g. a score that is no finite number.
    """
    if not isinstance(found, Mapping):
        raise ValueError(f"expected a trial's outcome, found {type(found).__name__}")
    status, score, folds = found.get("status"), found.get("score"), found.get("folds", [])
    reason, epochs, seconds = found.get("reason", ""), found.get("epochs", 0), found.get("seconds", 0.0)
    if status not in (*ENDS, STOP):
        raise ValueError(f"status: expected one of {', '.join(ENDS)}, found {status!r:.100}")
    if not (_number(score) or (score is None and status not in ("completed", "pruned"))):
        raise ValueError(f"score: expected a finite number, found {score!r:.100}")
    if not (isinstance(folds, list | tuple) and len(folds) <= _MAX_FOLDS and all(map(_number, folds))):
        raise ValueError(f"folds: expected a list of finite numbers, found {folds!r:.100}")
    if not (isinstance(reason, str) and len(reason) <= _MAX_REASON and reason.isprintable()):
        raise ValueError(f"reason: expected one line of up to {_MAX_REASON} characters, found {reason!r:.100}")
    if not (isinstance(epochs, int) and _number(epochs) and epochs >= 0):
        raise ValueError(f"epochs: expected a count, found {epochs!r:.100}")
    if not (_number(seconds) and seconds >= 0):
        raise ValueError(f"seconds: expected a duration, found {seconds!r:.100}")
    outcome = {"status": status, "score": score, "folds": list(folds), "reason": reason}
    return {**outcome, "epochs": epochs, "seconds": float(seconds)}


def one_line(text: object) -> str:
    """Return a message as one printable line of bounded length, for an outcome's reason."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())[:_MAX_REASON]


def failure(reason: object, status: str = "failed") -> dict[str, Any]:
    """Return the outcome of a trial without a score."""
    return outcome({"status": status, "score": None, "reason": one_line(reason)})


def disk_full(error: BaseException | None) -> bool:
    """Return whether an error, or its cause, is a full disk or an exceeded quota."""
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
