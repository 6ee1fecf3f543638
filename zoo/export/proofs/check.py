"""Proofs that an export serves: what a model server relies on, shown without one.

TensorFlow Serving's own binary is in no Python package, so it is not run here; its parts are: the C++ loader and
session behind TensorFlow's C API, the warm-up requests it replays, and the operations it knows.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import UserError
from zoo.export import warmup
from zoo.export.proofs import processes
from zoo.export.proofs.processes import Outcome, Request
from zoo.export.proofs.requests import answer, clips_of, meta_graph, requests_of
from zoo.serving import saved_model

NO_SERVER = (
    "TensorFlow Serving's own binary was not available here and was not run: the same loader, session and operations "
    "were, through TensorFlow's C API."
)
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
    def requests(self) -> list[Request]:
        return list(requests_of(self.exported, self.clips))

    @cached_property
    def answers(self) -> list[dict[str, np.ndarray]]:
        return [answer(self.exported, request.signature, request.inputs) for request in self.requests]


def check(places: Sequence[Path], run: Path | None = None) -> list[list[Proof]]:
    """Returns the proofs of each export: the folder of a version, or the newest in a folder of them.

    With `run`, the folder of the run they were made of, answers are compared with its own models'. Raises UserError
    for what is no export.
    """
    subjects = [Subject(saved_model.load(place), run) for place in places]
    together = [_without_keras(subjects), *_by_c_api(subjects), _scan(subjects)]
    alone: list[Callable[[Subject], Proof]] = [_openvino, _warmup, _agreement, _refusals]
    return [
        [*(column[number] for column in together), *(proof(subject) for proof in alone)]
        for number, subject in enumerate(subjects)
    ]


def _without_keras(subjects: Sequence[Subject]) -> list[Proof]:
    name = "answers without Keras"
    detail = "in a process where keras cannot be imported"
    try:
        outcomes, _ = processes.ask("without-keras", _jobs(subjects))
    except RuntimeError as error:
        return [Proof(name, FAILED, str(error))] * len(subjects)
    return [_compared(name, detail, *pair) for pair in zip(subjects, outcomes, strict=True)]


def _by_c_api(subjects: Sequence[Subject]) -> tuple[list[Proof], list[Proof]]:
    names, detail = ("answers through the C API", "stock operations"), "by ctypes, tensorflow not imported"
    try:
        outcomes, operations = processes.ask("c-api", _jobs(subjects))
    except RuntimeError as error:
        failed = [[Proof(name, FAILED, str(error))] * len(subjects) for name in names]
        return failed[0], failed[1]
    known = _names_of(operations)
    answered = [_compared(names[0], detail, *pair) for pair in zip(subjects, outcomes, strict=True)]
    return answered, [_stock(names[1], subject, known) for subject in subjects]


def _stock(name: str, subject: Subject, known: set[str]) -> Proof:
    used = operations_of(subject.exported.folder)
    foreign = sorted(used - known)
    if foreign:
        return Proof(name, FAILED, f"not among TensorFlow's {len(known)}: {', '.join(foreign)}")
    return Proof(name, PASSED, f"{len(used)} operations, all among TensorFlow's own {len(known)}")


def _scan(subjects: Sequence[Subject]) -> list[Proof]:
    name = "saved_model_cli scan"
    try:
        outcomes, _ = processes.ask("scan", [(subject.exported.folder, []) for subject in subjects])
    except RuntimeError as error:
        return [Proof(name, FAILED, str(error))] * len(subjects)
    return [
        Proof(name, PASSED, "no operation on its list (reads or writes files, prints)")
        if "does not contain the default denylisted ops" in outcome.text
        else Proof(name, FAILED, outcome.error or outcome.text)
        for outcome in outcomes
    ]


def _openvino(subject: Subject) -> Proof:
    from zoo.export.formats import RefusedError, openvino_answers

    name = "OpenVINO agrees"
    chosen = [pair for pair in zip(subject.requests, subject.answers, strict=True) if _by_default(pair[0])]
    try:
        answers = openvino_answers(subject.exported.folder, [request.inputs for request, _ in chosen])
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
        from zoo.export.format_agreement import compare

        name = "agrees with the run"
        try:
            return Proof(name, PASSED, compare(subject.exported, subject.run))
        except UserError as error:
            return Proof(name, FAILED, str(error))
    name, clips = "alone or in a padded batch", subject.clips
    ask = subject.exported.on_waveforms if _takes_waveforms(subject.exported) else subject.exported.on_features
    largest = 0.0
    alone = [ask([clip])[0] for clip in clips]
    for size in (2, len(clips)):
        for start in range(0, len(clips), size):
            for right, found in zip(alone[start:], ask(clips[start : start + size]), strict=False):
                largest = max(largest, _largest_difference([{"": right}], [{"": found}]))
    return _within(name, f"batches of 1, 2 and {len(clips)}; give --run to compare with the run", largest)


def _refusals(subject: Subject) -> Proof:
    """Asks what must be refused; the error must hold the words given, the limit among them."""
    import tensorflow as tf

    name = "refuses what it cannot answer"
    cases = list(_bad_requests(subject.exported.description, subject.clips))
    for what, inputs, words in cases:
        try:
            answer(subject.exported, "serving_default", inputs)
        except tf.errors.OpError as error:
            if words not in str(error):
                return Proof(name, FAILED, f"{what}: expected an error with {words!r}, found {error.message[:200]}")
        else:
            return Proof(name, FAILED, f"{what}: expected an error with {words!r}, found an answer")
    return Proof(name, PASSED, f"{', '.join(what for what, _, _ in cases)}; each error names its limit")


def _bad_requests(description: Mapping[str, Any], clips: Sequence[np.ndarray]) -> Iterator[tuple[str, dict, str]]:
    inputs = description["signatures"]["serving_default"]["inputs"]
    values, counts = ("waveform", "n_samples") if "waveform" in inputs else ("features", "n_frames")
    clip = clips[-1]
    least = description["shortest"] if values == "waveform" else max(1, description.get("steps_per_frame", 1))

    def request(row: np.ndarray, count: int) -> dict[str, np.ndarray]:
        return {values: row[None], counts: np.array([count], np.int32)}

    for what, value in (("NaN", np.nan), ("infinity", np.inf)):
        spoilt = clip.copy()
        spoilt[len(clip) // 2] = value
        yield what, request(spoilt, len(clip)), "expected finite"
    yield "empty", request(clip[:0], 0), f"expected at least {least}"
    yield "too short", request(clip, least - 1), f"expected at least {least}"
    yield "longer than its row", request(clip, len(clip) + 1), "at most the length of"
    yield "no clips", {values: clip[None][:0], counts: np.zeros(0, np.int32)}, "at least one clip"


def _jobs(subjects: Sequence[Subject]) -> list[tuple[Path, list[Request]]]:
    return [(subject.exported.folder, subject.requests) for subject in subjects]


def _compared(name: str, detail: str, subject: Subject, outcome: Outcome) -> Proof:
    if outcome.error:
        return Proof(name, FAILED, outcome.error)
    signatures = ", ".join(sorted({request.signature for request in subject.requests}))
    return _within(name, f"{detail}; {signatures}", _largest_difference(subject.answers, outcome.answers))


def _within(name: str, detail: str, largest: float, tolerance: float = TOLERANCE) -> Proof:
    status = PASSED if largest <= tolerance else FAILED
    return Proof(name, status, f"{detail}; largest difference {largest:.1e} (at most {tolerance:g})")


def _largest_difference(
    expected: Sequence[Mapping[str, np.ndarray]], found: Sequence[Mapping[str, np.ndarray]]
) -> float:
    """Infinite where an answer is absent, of another shape, or no number."""
    largest = 0.0
    for right, other in zip(expected, found, strict=True):
        for name, values in right.items():
            if name not in other or other[name].shape != values.shape:
                return float("inf")
            difference = np.abs(other[name].astype(np.float64) - values).max(initial=0.0)
            largest = max(largest, float("inf") if np.isnan(difference) else float(difference))
    return largest


def _takes_waveforms(exported: saved_model.Exported) -> bool:
    return "waveform" in exported.description["signatures"]["serving_default"]["inputs"]


def _by_default(request: Request) -> bool:
    return request.signature == "serving_default"


def operations_of(folder: Path) -> set[str]:
    """Returns the names of all operations in a SavedModel, its saver's too."""
    graph = meta_graph(folder).graph_def
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    return {node.op for node in nodes} - {function.signature.name for function in graph.library.function}


def _names_of(operations: bytes) -> set[str]:
    from tensorflow.core.framework import op_def_pb2

    return {operation.name for operation in op_def_pb2.OpList.FromString(operations).op}
