"""Add the ONNX form of its main signature to an export, for processes that start often (zoo.serving.onnx_form)."""

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from zoo.errors import UserError
from zoo.export.conversion import RefusedError, check_alike, check_installed
from zoo.export.onnx_writer import onnx_of
from zoo.export.requests import answer, clips_of, requests_of
from zoo.serving.description import DESCRIPTION, EMBEDDING, ONNX_PATH
from zoo.serving.onnx_form import OnnxForm
from zoo.serving.saved_model import Exported
from zoo.utils.atomic_files import write_json

TOLERANCE = 1e-5
LARGEST_BYTES = 50 * 2**20  # of an export's weights; larger ones are stored once unless asked


def add(exported: Exported, source: Path | None = None, large: bool = False) -> None:
    """Write assets.extra/model.onnx and its entries in the description of a fresh export.

    `source` has the SavedModel to convert where that of the export cannot be (`conversion.without_transforms`). Where
    there can be no such form, it would answer otherwise by more than `TOLERANCE`, or its weights have more than
    `LARGEST_BYTES` and `large` is not wanted, the description says why.
    """
    content, why = b"", _refusal(exported, large)
    names: list[str] = []
    if not why:
        try:
            content, names = _converted(exported, source or exported.folder)
        except RefusedError as error:
            why = str(error)
    place = exported.folder / DESCRIPTION
    described = json.loads(place.read_text())
    if why:
        write_json(place, {**described, "without_onnx": why})
        return
    files = {**described["files"], ONNX_PATH: sha256(content).hexdigest()}
    write_json(place, {**described, "onnx": names, "files": files})


def _refusal(exported: Exported, large: bool) -> str:
    """Return why no ONNX form of an export is tried, "" where one is."""
    weights = sum(path.stat().st_size for path in (exported.folder / "variables").iterdir())
    if weights > LARGEST_BYTES and not large:
        return f"its weights have {weights / 2**20:.0f} MiB, more than {LARGEST_BYTES / 2**20:.0f}"
    try:
        check_installed("onnx")
    except UserError as error:
        return str(error)
    return ""


def _is_part(one: Mapping[str, Any], whole: Mapping[str, Any]) -> bool:
    """Say whether a signature takes the same inputs as another, and answers with some of its outputs."""
    return one["inputs"] == whole["inputs"] and one["outputs"].items() <= whole["outputs"].items()


def _converted(exported: Exported, source: Path) -> tuple[bytes, list[str]]:
    """Write the form and compare it; return its bytes and the names of the signatures that it computes."""
    signatures = exported.description["signatures"]
    main = next(name for name in (EMBEDDING, "all_targets", "serving_default") if name in signatures)
    names = [name for name, one in signatures.items() if _is_part(one, signatures[main])]
    content = onnx_of(source, main)
    path = exported.folder / ONNX_PATH
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    try:
        form = OnnxForm(path)
        every = requests_of(exported, clips_of(exported.description))
        inputs = [request for name, request in every if name == main]
        requests = [(request, answer(exported.module.signatures, main, request)) for request in inputs]
        check_alike("onnx", requests, [form(request) for request in inputs], TOLERANCE)
    except UserError as error:
        path.unlink()
        raise RefusedError(str(error)) from error
    return content, names
