"""Prove of an export what a model server relies on, without a server: TensorFlow Serving is in no Python package."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
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
PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


@dataclass(frozen=True)
class Proof:
    """What was shown of an export: `status` is "passed", "failed" or "skipped", `detail` says by what, or why not."""

    name: str
    status: str
    detail: str


@dataclass(frozen=True)
class Subject:
    """An export under proof, with requests and the answers its SavedModel gives to them in this process."""

    exported: saved_model.Exported
    run: Path | None = None

    @cached_property
    def clips(self) -> list[np.ndarray]:
        """What a request is made of: waveforms (samples,) of 16 bits, or features (frames, bands)."""
        return clips_of(self.exported.description)

    @cached_property
    def requests(self) -> list[tuple[str, Inputs]]:
        """Signatures and their inputs."""
        return list(requests_of(self.exported, self.clips))

    @cached_property
    def answers(self) -> list[dict[str, np.ndarray]]:
        """An answer for each of the requests."""
        return [answer(self.exported.module.signatures, *request) for request in self.requests]


def check(places: Sequence[Path], run: Path | None = None) -> list[list[Proof]]:
    """Return the proofs of each export: the folder of a version, or the newest in a folder of them.

    With `run`, the folder of the run they were made of, answers are compared with its own models'. Raises UserError
    for what is no export.
    """
    subjects = [Subject(saved_model.load(place), run) for place in places]
    alone = (_stock_operations, _scan, _openvino, _warmup, _agreement, _refusals)
    return [
        [first, *(proof(subject) for proof in alone)]
        for first, subject in zip(_without_keras(subjects), subjects, strict=True)
    ]


def _without_keras(subjects: Sequence[Subject]) -> list[Proof]:
    outcomes = without_keras.outcomes([(subject.exported.folder, subject.requests) for subject in subjects])
    return [_compared(*pair) for pair in zip(subjects, outcomes, strict=True)]


def _compared(subject: Subject, outcome: without_keras.Outcome) -> Proof:
    name = "answers without Keras"
    if isinstance(outcome, str):
        return Proof(name, FAILED, outcome)
    signatures = ", ".join(sorted({signature for signature, _ in subject.requests}))
    detail = f"in a process where keras cannot be imported; {signatures}"
    return _within(name, detail, _largest_difference(subject.answers, outcome))


def _stock_operations(subject: Subject) -> Proof:
    import tensorflow as tf

    name, used = "stock operations", graph_audit.operations(subject.exported.folder)
    foreign = sorted(operation for operation in used if not hasattr(tf.raw_ops, operation))
    if foreign:
        return Proof(name, FAILED, f"not among TensorFlow's own: {', '.join(foreign)}")
    return Proof(name, PASSED, f"{len(used)} operations, all registered by TensorFlow itself")


def _scan(subject: Subject) -> Proof:
    """Run `saved_model_cli scan --dir FOLDER --tag_set serve`; the last line it prints is the finding."""
    from contextlib import redirect_stdout

    from tensorflow.python.tools import saved_model_cli, saved_model_utils

    name, printed = "saved_model_cli scan", StringIO()
    with redirect_stdout(printed):
        graph = saved_model_utils.get_meta_graph_def(str(subject.exported.folder), "serve")
        saved_model_cli.scan_meta_graph_def(graph, saved_model_cli._OP_DENYLIST)
    if "does not contain the default denylisted ops" in printed.getvalue():
        return Proof(name, PASSED, "no operation on its list (reads or writes files, prints)")
    return Proof(name, FAILED, printed.getvalue().strip())


def _openvino(subject: Subject) -> Proof:
    from zoo.export.formats import RefusedError, openvino_answers

    name, pairs = "OpenVINO agrees", zip(subject.requests, subject.answers, strict=True)
    chosen = [(inputs, right) for (signature, inputs), right in pairs if signature == "serving_default"]
    try:
        answers = openvino_answers(subject.exported.folder, [inputs for inputs, _ in chosen])
    except (RefusedError, UserError) as error:
        return Proof(name, SKIPPED, str(error))
    largest = _largest_difference([right for _, right in chosen], answers)
    return _within(name, "read from the SavedModel", largest, OPENVINO_TOLERANCE)


def _warmup(subject: Subject) -> Proof:
    name = "warm-up requests replay"
    if not warmup.available():
        return Proof(name, SKIPPED, f"tensorflow-serving-api is not installed: [{warmup.EXTRA}]")
    try:
        count = warmup.replay(subject.exported.folder, subject.exported.module.signatures)
    except UserError as error:
        return Proof(name, FAILED, str(error))
    return Proof(name, PASSED, f"{count} requests of {warmup.REQUESTS.name}, finite answers")


def _agreement(subject: Subject) -> Proof:
    if subject.run is not None:
        from zoo.export.agreement import compare

        try:
            return Proof("agrees with the run", PASSED, compare(subject.exported, subject.run))
        except UserError as error:
            return Proof("agrees with the run", FAILED, str(error))
    exported, clips = subject.exported, subject.clips
    predict = exported.on_waveforms if takes_waveforms(exported.description) else exported.on_features
    alone = [{"": predict([clip])[0]} for clip in clips]
    batched = [
        {"": row}
        for size in (2, len(clips))
        for start in range(0, len(clips), size)
        for row in predict(clips[start : start + size])
    ]
    detail = f"batches of 1, 2 and {len(clips)}; give --run to compare with the run"
    return _within("alone or in a padded batch", detail, _largest_difference(alone * 2, batched))


def _refusals(subject: Subject) -> Proof:
    """Send requests that must be refused; the error must hold the words given, the limit among them."""
    import tensorflow as tf

    name = "refuses what it cannot answer"
    cases = list(_bad_requests(subject.exported.description, subject.clips[-1]))
    for what, inputs, words in cases:
        found = "an answer"
        try:
            answer(subject.exported.module.signatures, "serving_default", inputs)
        except tf.errors.OpError as error:
            if words in str(error):
                continue
            found = error.message[:200]
        return Proof(name, FAILED, f"{what}: expected an error with {words!r}, found {found}")
    return Proof(name, PASSED, f"{', '.join(what for what, _, _ in cases)}; each error names its limit")


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


def _within(name: str, detail: str, largest: float, tolerance: float = TOLERANCE) -> Proof:
    status = PASSED if largest <= tolerance else FAILED
    return Proof(name, status, f"{detail}; largest difference {largest:.1e} (at most {tolerance:g})")


def _largest_difference(
    expected: Sequence[Mapping[str, np.ndarray]], found: Sequence[Mapping[str, np.ndarray]]
) -> float:
    """Return the largest difference; infinite where an answer is absent, of another shape, or no number."""
    largest = 0.0
    for right, other in zip(expected, found, strict=True):
        for name, values in right.items():
            if name not in other or other[name].shape != values.shape:
                return float("inf")
            difference = np.abs(other[name].astype(np.float64) - values).max(initial=0.0)
            largest = max(largest, float("inf") if np.isnan(difference) else float(difference))
    return largest
