"""Read what an export says of itself, assets/description.json, and check every value before it is used."""

import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from zoo.confidence.fit import Fit, from_content
from zoo.data import clip_hashes
from zoo.data.audio.recording import MAX_RATE_HZ, MIN_RATE_HZ
from zoo.data.audio.scan import file_sha256
from zoo.errors import UserError
from zoo.heads import Head, Heads

WITH_CONFIDENCE = "with_confidence"  # the signature of exports with a fitted confidence
FORMAT = 1  # of description.json; another number says that its keys mean something else
DESCRIPTION = Path("assets") / "description.json"
_NAMES = Path("assets") / "classes.txt"
EMBEDDING = "embedding"  # the signature and its output
KERAS_FOLDER = "assets.extra"  # of the Keras models that the description's "keras" names by fold
ONNX_PATH = "assets.extra/model.onnx"  # what the description's "onnx" names the signatures of
_GRAPH = ("saved_model.pb", "variables/variables.index")  # files that every SavedModel has
_LONGEST = 2**31 - 1  # counts are 32-bit integers in the graph

Check = Callable[[Any], bool]


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_names(value: Any) -> bool:
    return _is_texts(value) and len(value) >= 1 and len(set(value)) == len(value)


def _is_number(value: Any) -> bool:
    return _is_whole(1)(value) or (isinstance(value, float) and math.isfinite(value) and value > 0)


def _is_whole(least: int, most: int = _LONGEST) -> Check:
    return lambda value: type(value) is int and least <= value <= most


def _is_sums(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(v, str) and re.fullmatch("[0-9a-f]{64}", v) for v in value.values()
    )


def _is_signatures(value: Any) -> bool:
    def is_tensor(item: Any) -> bool:
        shape = item.get("shape") if isinstance(item, dict) else None
        sizes = isinstance(shape, list) and all(size is None or _is_whole(0)(size) for size in shape)
        return sizes and _is_text(item.get("dtype"))

    def is_signature(item: Any) -> bool:
        sides = [item.get(side) for side in ("inputs", "outputs")] if isinstance(item, dict) else [None]
        return all(isinstance(side, dict) and side and all(map(is_tensor, side.values())) for side in sides)

    return isinstance(value, dict) and "serving_default" in value and all(map(is_signature, value.values()))


def _is_frontend(value: Any) -> bool:
    if not isinstance(value, dict) or not _is_text(value.get("kind")):
        return False
    if value["kind"] != "functionals":
        return True
    windows = all(_is_number(value.get(name)) for name in ("functional_seconds", "frame_seconds"))
    return _is_text(value.get("feature_set")) and (windows or _is_text(value.get("functionals")))


def _is_stream(value: Any) -> bool:
    return isinstance(value, dict) and all(_is_whole(0)(value.get(name)) for name in ("before_frames", "after_frames"))


def _is_keras(value: Any) -> bool:
    """Return whether the value maps each fold to a file directly inside `KERAS_FOLDER`."""
    name = re.compile(rf"{re.escape(KERAS_FOLDER)}/model(-\w+)?\.keras")
    return isinstance(value, dict) and bool(value) and all(_is_text(v) and name.fullmatch(v) for v in value.values())


def _is_hashes(value: Any) -> bool:
    try:
        return bool(clip_hashes.from_content(value))
    except ValueError:
        return False


def _is_encoder(value: Any) -> bool:
    names = ("name", "family", "licence", "sha256")
    return isinstance(value, dict) and all(_is_text(value.get(name)) for name in names)


def _is_targets(value: Any) -> bool:
    """Say whether the value is two targets or more, of different names, with classes or without."""

    def is_target(item: Any) -> bool:
        if not isinstance(item, dict) or not _is_text(item.get("name")):
            return False
        return "classes" not in item or (_is_names(item["classes"]) and len(item["classes"]) > 1)

    if not isinstance(value, list) or len(value) < 2 or not all(map(is_target, value)):
        return False
    return _is_names([item["name"] for item in value])


_RATE = "a whole number of Hz", _is_whole(MIN_RATE_HZ, MAX_RATE_HZ)
_COUNT = "a whole number, at least 1", _is_whole(1)
_SUMS = "names of files with their SHA-256", _is_sums
# key: what is expected, the check. Keys of all exports, of those of classes, and of ratings.
_KEYS: dict[str, tuple[str, Check]] = {
    "model": ("a name", _is_text),
    "task": ("emotion or continuous", lambda value: value in ("emotion", "continuous")),
    "rate_hz": _RATE,
    "frontend": ("a front-end with its kind and settings", _is_frontend),
    "shortest": _COUNT,
    "longest": _COUNT,
    "lengths_in": ("samples, frames or rows", lambda value: value in ("samples", "frames", "rows")),
    "trained_on": ("a name", _is_text),
    "signatures": ("signatures with types and shapes, serving_default among them", _is_signatures),
    "files": _SUMS,
}
_OF_TASK: dict[str, dict[str, tuple[str, Check]]] = {
    "emotion": {"classes": ("different names", _is_names)},
    "continuous": {
        "dimensions": ("different names", _is_names),
        "frame_seconds": ("a number above 0", _is_number),
        "steps_per_frame": _COUNT,
        "segment_frames": ("a whole number", _is_whole(0)),
        "delay_frames": ("a whole number", _is_whole(-_LONGEST)),
        "postprocess": ("a list", lambda value: isinstance(value, list)),
    },
}
_IF_PRESENT: dict[str, tuple[str, Check]] = {
    "stream": ("frames before and after", _is_stream),
    "temperature": ("a number above 0", _is_number),
    "confidence": ("a fitted confidence or null", lambda value: value is None or isinstance(value, dict)),
    "warnings": ("a list of sentences", _is_texts),
    "folds": ("different names", _is_names),
    "targets": ("targets with different names, the classes of each, or none for a number", _is_targets),
    "run_files": _SUMS,
    "onnx": ("names of signatures", _is_names),
    "keras": ("files of Keras models by fold", _is_keras),
    "stand_in": ("what a stand-in is made of", lambda value: isinstance(value, dict)),
    "clips": ("hashes of clips", _is_hashes),
    "encoder": ("a speech encoder with name, family, licence and SHA-256", _is_encoder),
    "weights": ("how weights are stored", lambda value: isinstance(value, dict) and _is_text(value.get("dtype"))),
}


def read_description(folder: Path) -> dict[str, Any]:
    """Read an export's description.json. Raises UserError where it is absent, damaged or of another format."""
    path = folder / DESCRIPTION
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise damaged(path, str(error)) from error
    if not isinstance(content, dict):
        raise damaged(path, f"a {type(content).__name__} in place of a mapping")
    if content.get("format") != FORMAT or isinstance(content["format"], bool):
        found = f"found {_shown(content['format'])}" if "format" in content else "found none"
        raise UserError(f"{path}: expected format {FORMAT}, {found}; export the run again by this version")
    _check_keys(path, content, _KEYS)
    _check_keys(path, content, _OF_TASK[content["task"]])
    _check_keys(path, content, {name: check for name, check in _IF_PRESENT.items() if name in content})
    _check_together(path, content)
    _check_names(folder, content)
    return content


def outputs_of(description: Mapping[str, Any]) -> list[str]:
    """Return the names of the classes, or of the rated dimensions."""
    return description["dimensions" if description["task"] == "continuous" else "classes"]


def heads_of(description: Mapping[str, Any]) -> Heads:
    """Return the heads of an export with several targets, nothing for one of one target."""
    return tuple(Head(item["name"], tuple(item.get("classes", ()))) for item in description.get("targets", ()))


def confidence_of(description: Mapping[str, Any]) -> Fit | None:
    """Return the confidence fitted for an export of classes, None without one. Raises ValueError for a damaged one."""
    content = description.get("confidence")
    return from_content(content, tuple(description["classes"])) if content else None


def check_files(folder: Path, files: Mapping[str, str]) -> None:
    """Raise UserError unless the graph and its weights are those that the description has checksums of."""
    there = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    of_graph = {name for name in there if name == _GRAPH[0] or name.startswith("variables/")}
    for name in sorted({*files, *of_graph, *_GRAPH}):
        if name not in there:
            raise damaged(folder / DESCRIPTION, f"{_shown(name)}, no such file in the export")
        if name not in files:
            raise damaged(folder / DESCRIPTION, f"no checksum of {name}")
        if file_sha256(there[name]) != files[name]:
            raise damaged(there[name], "other contents than when it was exported")


def damaged(path: Path, found: str) -> UserError:
    """Return the error for an export, or a file of one, that is not as it was written."""
    return UserError(
        f"{path}: expected a model as scripts/export.py writes it, found {found}. Fetch it or export again"
    )


def _check_keys(path: Path, content: Mapping[str, Any], keys: Mapping[str, tuple[str, Check]]) -> None:
    absent = [name for name in keys if name not in content]
    if absent:
        raise damaged(path, f"without {', '.join(absent)}")
    for name, (expected, check) in keys.items():
        if not check(content[name]):
            raise damaged(path, f"{name} {_shown(content[name])} in place of {expected}")


def _check_together(path: Path, content: Mapping[str, Any]) -> None:
    """Check values that depend on each other."""
    signatures, frontend = content["signatures"], content["frontend"]
    default, size = signatures["serving_default"], len(outputs_of(content))
    on_waveforms, continuous = frontend["kind"] != "functionals", content["task"] == "continuous"
    unit = "samples" if on_waveforms else "frames" if continuous else "rows"
    output = default["outputs"].get("arousal_valence" if continuous else "probabilities", {"shape": [None]})
    checks = {
        "longest below shortest": content["longest"] >= content["shortest"],
        f"lengths in {content['lengths_in']}": content["lengths_in"] == unit,
        "inputs that are not its front-end's": ("waveform" if on_waveforms else "features") in default["inputs"],
        f"{size} names for outputs of the shape {output['shape']}": output["shape"][-1] == size,
        "a front-end at another rate": frontend.get("rate_hz", content["rate_hz"]) == content["rate_hz"],
        "functionals at a rate that is no multiple of 100 Hz": on_waveforms or content["rate_hz"] % 100 == 0,
        "functionals of a clip for ratings": continuous or on_waveforms or "functionals" in frontend,
        "a stream without its signature": ("stream" in content) <= ("stream" in signatures),
        "an ONNX form of no signature": {*content.get("onnx", ())} <= {*signatures},
        "an ONNX form without a checksum": ("onnx" in content) <= (ONNX_PATH in content["files"]),
        "a Keras model without a checksum": {*content.get("keras", {}).values()} <= {*content["files"]},
        "embeddings without that output": EMBEDDING in signatures.get(EMBEDDING, {"outputs": [EMBEDDING]})["outputs"],
    }
    checks |= _target_checks(content)
    for found, holds in checks.items():
        if not holds:
            raise damaged(path, found)
    _check_confidence(path, content)


def _check_confidence(path: Path, content: Mapping[str, Any]) -> None:
    """Check the fitted confidence, which ratings and exports of earlier versions do not have, and its signature."""
    is_there, signature = bool(content.get("confidence")), content["signatures"].get(WITH_CONFIDENCE)
    if is_there and content["task"] != "emotion":
        raise damaged(path, "a confidence for ratings")
    if is_there != bool(signature) or (signature and not {"confidence", "abstained"} <= {*signature["outputs"]}):
        raise damaged(path, f"a confidence without its signature {WITH_CONFIDENCE}, or the signature without it")
    try:
        fit = confidence_of(content)
    except ValueError as error:
        raise damaged(path, str(error)) from error
    if fit and fit.takes_functionals:
        raise damaged(path, f"confidence by {fit.measure}, which no graph can hold")


def _target_checks(content: Mapping[str, Any]) -> dict[str, bool]:
    """Compare the targets of an export with its classes and its signature "all_targets"."""
    if not (heads := heads_of(content)):
        return {}
    outputs = content["signatures"].get("all_targets", {"outputs": {}})["outputs"]
    shapes = {head.name: outputs.get(head.name, {"shape": None})["shape"] for head in heads}
    features = content["signatures"].get("all_targets_features", {"outputs": {}})["outputs"]
    return {
        "targets of ratings": content["task"] == "emotion",
        "a first target of other classes": list(heads[0].classes) == content.get("classes"),
        "targets without the signature all_targets, or of other shapes there": set(outputs) == set(shapes)
        and all(shapes[head.name] == [None, *([len(head.classes)] if head.classes else [])] for head in heads),
        "targets without the signature all_targets_features": features.keys() == outputs.keys(),
    }


def _check_names(folder: Path, content: Mapping[str, Any]) -> None:
    """Compare the names of outputs with the second file that has them: an order that was changed is noticed."""
    path = folder / _NAMES
    try:
        names = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise damaged(path, str(error)) from error
    if names != outputs_of(content):
        raise damaged(path, f"{_shown(names)} where description.json has {_shown(outputs_of(content))}")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}..."
