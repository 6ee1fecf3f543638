"""Export a trained run as a SavedModel that any TensorFlow runtime serves, compared with the run before it appears.

    OUT/N/saved_model.pb, variables/     the graph (zoo.export.signatures) and its weights
    OUT/N/assets/description.json        outputs, limits, front-end, training, figures, checksums
    OUT/N/assets/classes.txt             the outputs' names, one a line
    OUT/N/assets.extra/model.onnx        the main signature and embeddings once more, for ONNX Runtime
    OUT/N/assets.extra/model.keras       the run's model, to be trained further; of several folds model-0.keras, ...

It is made and checked in a folder without a number beside them: a server sees N once it is complete.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import keras
import tensorflow as tf

from zoo.confidence.fit import Fit
from zoo.config.frame_timing import delay_frames, frame_seconds, segment_frames, steps_per_frame
from zoo.config.run_config import heeds
from zoo.data.audio.scan import file_sha256
from zoo.errors import UserError
from zoo.export import (
    agreement,
    confidence_signature,
    conversion,
    half_weights,
    keras_copy,
    onnx_copy,
    signatures,
    trained_run,
    warmup,
)
from zoo.export.signatures import Plan
from zoo.export.trained_run import Trained
from zoo.heads import Head, heads_of
from zoo.inference import postprocess
from zoo.inference.stateful import frames_around
from zoo.runs import confidence_file, folds_of_final, training_clips
from zoo.runs.folder import fold_name, is_tested
from zoo.runs.model_file import looks_at_whole_segments, own_settings
from zoo.serving import saved_model
from zoo.serving.description import DESCRIPTION, FORMAT
from zoo.serving.versions import new_version
from zoo.utils.atomic_files import write_json
from zoo.version import __version__

SHORTEST_SECONDS = 0.025  # of an utterance: one window of the front-end
LONGEST_SECONDS = {"emotion": 60.0, "continuous": 300.0}  # the first layers' outputs grow with it, to gigabytes
_RATE_HZ = 16_000  # of a run on functionals, whose model does not say


def export(
    run: Path,
    out: Path,
    fold: str | None = None,
    version: int | None = None,
    with_postprocess: bool = False,
    temperature: float = 1.0,
    calibration: Mapping[str, Any] | None = None,
    max_seconds: float | None = None,
    without_confidence: bool = False,
    with_onnx: bool = False,
    with_keras: bool = False,
    large_forms: bool = False,
    weights_dtype: str = "float32",
) -> Path:
    """Write a run as a SavedModel and return its folder, `out`/N.

    Args:
        run: folder that train.py made, all of its folds finished; on any backend.
        out: gets the next free number, or `version`.
        fold: number of the one fold to export; by default the answers of all are averaged.
        with_postprocess: ratings go through the chains fitted on validation data.
        temperature: divides each fold's logarithms of probabilities.
        calibration: how the temperature was found, for the description.
        max_seconds: longer recordings are refused; by default `LONGEST_SECONDS`.
        without_confidence: the run's confidence.json, if it has one, is left out.
        with_onnx: the main signature is stored in ONNX too, where that can be (zoo.export.onnx_copy).
        with_keras: the Keras models are stored too, where that can be (zoo.export.keras_copy).
        large_forms: also where that makes the export much larger.
        weights_dtype: float16 stores matrices and kernels so (zoo.export.half_weights).

    Raises UserError for a confidence that no graph can hold, or that was not fitted on the temperature's
    probabilities, a run that is not finished or of another version, an option its kind does not have, weights that a
    form cannot hold, a `version` that is not above the newest, or an export that answers otherwise than the run.
    """
    if keras.backend.backend() != "tensorflow":
        raise UserError(f"exports are made by TensorFlow, and keras runs on {keras.backend.backend()} here")
    trained = trained_run.load(run, fold)
    plan = _plan(trained, with_postprocess, temperature, max_seconds)
    if not without_confidence:
        plan = replace(plan, confidence=_confidence(trained, temperature))
    if with_onnx and large_forms:
        conversion.check_fits("onnx", [*trained.networks, trained.frontend])
    weights = {}
    if weights_dtype != "float32":
        weights = {"weights": half_weights.rounded(trained, agreement.predictions_of_run(trained, plan))}
        plan = replace(plan, weights_dtype=weights_dtype)
    with new_version(out, version) as (aside, final):
        module, functions = signatures.build(trained.frontend, trained.networks, plan)
        content = {**_description(trained, plan, calibration), **weights}
        content["signatures"] = save(module, functions, aside)
        if "stream" in functions:
            before, after = frames_around(trained.networks, plan.steps_per_frame)
            content["stream"] = {"before_frames": before, "after_frames": after}
        complete(aside, content, plan.outputs, out.name)
        if with_keras:
            models = {fold_name(folder): folder / "model.keras" for folder in trained.opened.fold_folders}
            keras_copy.add(aside, models, content["frontend"]["kind"], large_forms)
        exported = saved_model.load(aside)
        agreement.check(exported, trained)
        if with_onnx:
            with TemporaryDirectory(prefix="export-") as place:
                source = conversion.without_transforms(trained.frontend, trained.networks, exported, Path(place))
                onnx_copy.add(exported, source, large_forms)
    return final


def _plan(trained: Trained, with_postprocess: bool, temperature: float, max_seconds: float | None) -> Plan:
    opened, settings, entry = trained.opened, trained.opened.settings, trained.opened.entry
    rate_hz = trained.frontend.rate_hz if trained.frontend else _RATE_HZ
    seconds = LONGEST_SECONDS[entry.task] if max_seconds is None else max_seconds
    if not 1 <= seconds <= 3600:
        raise UserError(f"--max-clip-seconds is {seconds}, expected 1 to 3600")
    plan = Plan(opened.outputs, round(SHORTEST_SECONDS * rate_hz), round(seconds * rate_hz), rate_hz)
    if entry.frontend == "acoustic":  # one row of functionals for a clip
        plan = replace(plan, shortest=1, longest=1)
    if entry.task == "emotion":
        if with_postprocess:
            raise UserError(f"--postprocess is for continuous ratings; {opened.folder} predicts classes. Leave it out")
        if not 0.01 <= temperature <= 100:
            raise UserError(f"temperature is {temperature}, expected 0.01 to 100")
        heads = heads_of(settings, opened.outputs)
        return replace(plan, temperature=temperature, heads=heads if len(heads) > 1 else ())
    if temperature != 1:
        raise UserError(f"temperature is for probabilities, and {opened.folder} predicts ratings; leave it out")
    folders = opened.fold_folders if with_postprocess else ()
    frame, steps = frame_seconds(settings), steps_per_frame(settings)
    return replace(
        plan,
        shortest=round(frame * rate_hz) if trained.frontend else steps,
        longest=plan.longest if trained.frontend else round(seconds / frame),
        steps_per_frame=steps,
        segment_frames=segment_frames(settings) if looks_at_whole_segments(trained.networks[0]) else 0,
        delay_frames=delay_frames(settings),
        chains=tuple(postprocess.load(folder / "postprocess.json", opened.outputs) for folder in folders),
    )


def _confidence(trained: Trained, temperature: float) -> Fit | None:
    if trained.opened.entry.task != "emotion":
        return None
    fit = confidence_file.load(trained.opened)
    confidence_signature.check(fit, str(trained.opened.folder))
    if fit and temperature != 1:
        raise UserError(
            f"{trained.opened.folder}: its confidence was fitted on probabilities as they are, and a temperature "
            "changes them. Confidence is calibrated by itself: leave out --calibrate, or add --without-confidence"
        )
    return fit


def save(module: tf.Module, functions: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Write a SavedModel with these signatures; return them as the description has them."""
    tf.saved_model.save(module, str(folder), signatures=functions)

    def described(items) -> dict[str, Any]:
        return {name: {"dtype": item.dtype.name, "shape": list(item.shape)} for name, item in items}

    found = {}
    for name, function in functions.items():
        concrete = function.get_concrete_function() if hasattr(function, "get_concrete_function") else function
        positional, named = concrete.structured_input_signature
        inputs = described((item.name, item) for item in (*positional, *named.values()))
        found[name] = {"inputs": inputs, "outputs": described(concrete.structured_outputs.items())}
    return found


def complete(folder: Path, content: Mapping[str, Any], outputs: Sequence[str], name: str) -> None:
    """Write what lies beside the graph: description with checksums, names of outputs, warm-up requests of `name`."""
    # Of the graph and its weights; what is put beside them later, such as warm-up requests, is not covered.
    files = _checksums(folder, [folder / "saved_model.pb", *sorted((folder / "variables").iterdir())])
    (folder / "assets").mkdir(exist_ok=True)
    (folder / "assets" / "classes.txt").write_text("".join(f"{output}\n" for output in outputs))
    write_json(folder / DESCRIPTION, {**content, "files": files})
    if warmup.available():
        warmup.write_warmup(folder, warmup.requests_for(content), model=name)


def _description(trained: Trained, plan: Plan, calibration: Mapping[str, Any] | None) -> dict[str, Any]:
    opened, settings, record = trained.opened, trained.opened.settings, trained.opened.record
    continuous = opened.entry.task == "continuous"
    figures = ("ccc", "dimensions", "postprocessed") if continuous else ("ua", "wa", "macro_f1")
    run_files = [opened.folder / "config.json"]
    for folder in opened.fold_folders:
        run_files += [path for path in (folder / "model.keras", folder / "postprocess.json") if path.is_file()]
    content = {
        "format": FORMAT,
        "zoo_version": __version__,
        "model": settings.model,
        "paper": opened.entry.paper,
        "task": opened.entry.task,
        "dimensions" if continuous else "classes": list(plan.outputs),
        "rate_hz": plan.rate_hz,
        "frontend": _frontend(trained),
        **_encoder(trained),
        "shortest": plan.shortest,
        "longest": plan.longest,
        "lengths_in": "samples" if trained.frontend else "frames" if continuous else "rows",
        "trained_on": opened.corpus,
        "protocol": record["protocol"],
        "synthetic": record["synthetic"],
        "warnings": list(record.get("warnings", ())),
        "folds": [fold_name(folder) for folder in opened.fold_folders],
        **{name: record[name] for name in ("stand_in", "initial", "teachers") if record.get(name)},
        "recipe": settings.recipe,
        **_figures(record, figures),
        "run_versions": record["versions"],
        "run_files": _checksums(opened.folder, run_files),
    }
    if clips := training_clips.of_folds(opened.fold_folders):
        content["clips"] = clips.content()
    if plan.heads:
        content["targets"] = [_target(head, record) for head in plan.heads]
    if not continuous:
        fit = {"confidence": plan.confidence.content()} if plan.confidence else {}
        return {**content, "temperature": plan.temperature, "calibration": calibration, **fit}
    return {
        **content,
        "frame_seconds": frame_seconds(settings),
        "steps_per_frame": plan.steps_per_frame,
        "segment_frames": plan.segment_frames,
        "delay_frames": plan.delay_frames,
        "postprocess": [asdict(chain) for chain in plan.chains],
    }


def _figures(record: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return the figures of a run; where it was trained on all clips those of other models, which is said, or none."""
    if is_tested(record):
        return {"metrics": {name: record[name] for name in names}}
    theirs = record.get(folds_of_final.KEY, {})
    said = theirs.get("said", "It was trained on all clips, and none are left to test it.")
    return {"metrics": {name: theirs[name] for name in names if name in theirs}, "metrics_are_of": said}


def _target(head: Head, record: Mapping[str, Any]) -> dict[str, Any]:
    """Describe a target: classes, or of a number the range of the labels it was tested on."""
    if head.classes:
        return {"name": head.name, "classes": list(head.classes)}
    return {"name": head.name, "tested_range": record["targets"][head.name].get("range")}


def _frontend(trained: Trained) -> dict[str, Any]:
    """Describe the front-end; functionals are computed before a request, so that no signature takes waveforms."""
    settings = trained.opened.settings
    if trained.frontend:
        own = own_settings(trained.frontend)
        named = {name: Path(own[name]).name for name in ("weights",) if name in own}  # not where the folder was
        return {"kind": type(trained.frontend).__name__, **own, **named}
    names = ("feature_set", "functionals", "functional_seconds", "frame_seconds")
    return {"kind": "functionals", **{name: getattr(settings, name) for name in names if heeds(settings.model, name)}}


def _encoder(trained: Trained) -> dict[str, Any]:
    """Describe the frozen speech encoder in front of the networks, {} where there is none."""
    described = getattr(trained.frontend, "about", None)
    return {"encoder": described} if described else {}


def _checksums(folder: Path, paths: Iterable[Path]) -> dict[str, str]:
    return {str(path.relative_to(folder)): file_sha256(path) for path in paths}
