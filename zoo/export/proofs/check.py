"""Prove of an export what a model server relies on, without a server: TensorFlow Serving is in no Python package."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import UserError
from zoo.export import warmup
from zoo.export.proofs import without_keras
from zoo.export.requests import Inputs, answer, clips_of, requests_of, takes_waveforms
from zoo.serving import graph_audit, saved_model

NO_SERVER = "TensorFlow Serving's own binary was not available here and was not run."
TOLERANCE = 1e-5
OPENVINO_TOLERANCE = 1e-4  # another library's arithmetic
Answers = Sequence[Mapping[str, np.ndarray]]
PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


class SkippedError(UserError):
    """What a proof needs is not installed, or cannot be used."""


@dataclass(frozen=True)
class Proof:
    """The result of one check of an export: `status` is "passed", "failed" or "skipped", `detail` gives the reason."""

    name: str
    status: str
    detail: str


class Subject:
    """An export under proof, with requests and the answers its SavedModel gives to them in this process."""

    def __init__(self, exported: saved_model.Exported, run: Path | None = None):
        self.exported, self.run = exported, run
        self.clips = clips_of(exported.description)
        self.requests = list(requests_of(exported, self.clips))
        self.answers = [answer(exported.module.signatures, *request) for request in self.requests]
        self.elsewhere: without_keras.Outcome = "not run"  # without Keras


def check(places: Sequence[Path], run: Path | None = None) -> list[list[Proof]]:
    """Return the proofs of each export: the folder of a version, or the newest in a folder of them.

    With `run`, the folder of the run they were made of, answers are compared with its own models'. Raises UserError
    for what is no export.
    """
    subjects = [Subject(saved_model.load(place), run) for place in places]
    outcomes = without_keras.outcomes([(subject.exported.folder, subject.requests) for subject in subjects])
    for subject, outcome in zip(subjects, outcomes, strict=True):
        subject.elsewhere = outcome
    proofs = {
        "answers without Keras": _without_keras,
        "stock operations": _stock_operations,
        "saved_model_cli scan": _scan,
        "OpenVINO agrees": _openvino,
        "warm-up requests replay": _warmup,
        "agrees with the run" if run else "alone or in a padded batch": _agreement,
        "refuses what it cannot answer": _refusals,
    }
    return [[_proof(name, show, subject) for name, show in proofs.items()] for subject in subjects]


def _proof(name: str, show: Callable[[Subject], str], subject: Subject) -> Proof:
    try:
        return Proof(name, PASSED, show(subject))
    except UserError as error:
        return Proof(name, SKIPPED if isinstance(error, SkippedError) else FAILED, str(error))


def _without_keras(subject: Subject) -> str:
    if isinstance(subject.elsewhere, str):
        raise UserError(subject.elsewhere)
    signatures = ", ".join(sorted({signature for signature, _ in subject.requests}))
    detail = f"in a process where keras cannot be imported; {signatures}"
    return _within(detail, subject.answers, subject.elsewhere)


def _stock_operations(subject: Subject) -> str:
    import tensorflow as tf

    used = graph_audit.operations(subject.exported.folder)
    foreign = sorted(operation for operation in used if not hasattr(tf.raw_ops, operation))
    if foreign:
        raise UserError(f"not among TensorFlow's own: {', '.join(foreign)}")
    return f"{len(used)} operations, all registered by TensorFlow itself"


def _scan(subject: Subject) -> str:
    """Run `saved_model_cli scan --dir FOLDER --tag_set serve`; the last line it prints is the finding."""
    from tensorflow.python.tools import saved_model_cli, saved_model_utils

    with redirect_stdout(StringIO()) as printed:
        graph = saved_model_utils.get_meta_graph_def(str(subject.exported.folder), "serve")
        saved_model_cli.scan_meta_graph_def(graph, saved_model_cli._OP_DENYLIST)
    if "does not contain the default denylisted ops" not in printed.getvalue():
        raise UserError(printed.getvalue().strip())
    return "no operation on its list (reads or writes files, prints)"


def _openvino(subject: Subject) -> str:
    from zoo.export.formats import openvino_answers

    pairs = zip(subject.requests, subject.answers, strict=True)
    chosen = [(inputs, right) for (signature, inputs), right in pairs if signature == "serving_default"]
    try:
        answers = openvino_answers(subject.exported.folder, [inputs for inputs, _ in chosen])
    except UserError as error:
        raise SkippedError(str(error)) from error
    return _within("read from the SavedModel", [right for _, right in chosen], answers, OPENVINO_TOLERANCE)


def _warmup(subject: Subject) -> str:
    if not warmup.available():
        raise SkippedError("tensorflow-serving-api is not installed: [serving]")
    count = warmup.replay(subject.exported.folder, subject.exported.module.signatures)
    return f"{count} requests of {warmup.REQUESTS.name}, finite answers"


def _agreement(subject: Subject) -> str:
    if subject.run:
        from zoo.export.agreement import compare

        return compare(subject.exported, subject.run)
    exported, clips = subject.exported, subject.clips
    predict = exported.on_waveforms if takes_waveforms(exported.description) else exported.on_features
    alone = [{"": predict([clip])[0]} for clip in clips]
    batched = [
        {"": row}
        for size in (2, len(clips))
        for start in range(0, len(clips), size)
        for row in predict(clips[start : start + size])
    ]
    return _within(f"batches of 1, 2 and {len(clips)}; give --run to compare with the run", alone * 2, batched)


def _refusals(subject: Subject) -> str:
    """Send requests that must be refused; the error must hold the words given, the limit among them."""
    import tensorflow as tf

    cases = list(_bad_requests(subject.exported.description, subject.clips[-1]))
    for what, inputs, words in cases:
        found = "an answer"
        try:
            answer(subject.exported.module.signatures, "serving_default", inputs)
        except tf.errors.OpError as error:
            if words in str(error):
                continue
            found = error.message[:200]
        raise UserError(f"{what}: expected an error with {words!r}, found {found}")
    return f"{', '.join(what for what, _, _ in cases)}; each error names its limit"


def _bad_requests(description: Mapping[str, Any], clip: np.ndarray) -> Iterator[tuple[str, Inputs, str]]:
    waveforms = takes_waveforms(description)
    values, counts = ("waveform", "n_samples") if waveforms else ("features", "n_frames")
    least = description["shortest"] if waveforms else max(1, description.get("steps_per_frame", 1))

    def request(row: np.ndarray, count: int) -> Inputs:
        return {values: row[None], counts: np.array([count], np.int32)}

    for what, value in (("NaN", np.nan), ("infinity", np.inf)):
        spoilt = clip.copy()
        spoilt[len(clip) // 2] = value
        yield what, request(spoilt, len(clip)), "expected finite"
    yield "empty", request(clip[:0], 0), f"expected at least {least}"
    yield "too short", request(clip, least - 1), f"expected at least {least}"
    yield "longer than its row", request(clip, len(clip) + 1), "at most the length of"
    yield "no clips", {values: clip[None][:0], counts: np.zeros(0, np.int32)}, "at least one clip"


def _within(detail: str, expected: Answers, found: Answers, tolerance: float = TOLERANCE) -> str:
    """Return `detail` with the largest difference; it is infinite for outputs absent, of another shape, or NaN."""
    largest = 0.0
    for right, other in zip(expected, found, strict=True):
        for name, values in right.items():
            same = name in other and other[name].shape == values.shape
            difference = np.abs(other[name].astype(np.float64) - values).max(initial=0.0) if same else np.inf
            largest = max(largest, np.inf if np.isnan(difference) else float(difference))
    said = f"{detail}; largest difference {largest:.1e} (at most {tolerance:g})"
    if largest > tolerance:
        raise UserError(said)
    return said
