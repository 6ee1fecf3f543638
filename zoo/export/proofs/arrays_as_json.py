"""Write requests and answers of exports as JSON, which another process reads without running anything in it."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np


def dumps(value: Any) -> bytes:
    """Return lists, dictionaries, paths, bytes and numerical arrays as JSON; paths come back as text."""
    return json.dumps(value, default=_encoded).encode()


def loads(text: bytes) -> Any:
    """Return what `dumps` wrote."""
    return json.loads(text, object_hook=_decoded)


def _encoded(value: Any) -> str | dict[str, str]:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    file = io.BytesIO()
    np.save(file, value, allow_pickle=False)
    return {"npy": base64.b64encode(file.getvalue()).decode()}


def _decoded(content: dict[str, Any]) -> Any:
    if content.keys() == {"base64"}:
        return base64.b64decode(content["base64"])
    if content.keys() == {"npy"}:
        return np.load(io.BytesIO(base64.b64decode(content["npy"])), allow_pickle=False)
    return content
