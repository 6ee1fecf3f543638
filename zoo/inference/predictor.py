"""Predict emotion in files and waveforms, by the models of a run or by an exported model.

Both become a `Predictor`; how a waveform becomes outputs is in run_predictor.py and export_predictor.py.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data.audio.blocks import seconds_of
from zoo.data.audio.read import read
from zoo.data.audio.recording import WITHOUT_SPEECH, BadClip
from zoo.data.schema import Clip as Utterance
from zoo.errors import UserError
from zoo.heads import Heads, column_names, split
from zoo.inference.clips import Clip, is_file, names_of, waveform_of
from zoo.inference.confidence import NOTHING, Judge, without_fit

BATCH_SECONDS = 120  # of audio in one batch, padding included
# Of speech encoders, whose first layers take 6.5 MB a second of audio, several times over; a longer clip is alone.
ENCODER_BATCH_SECONDS = 30
_WITHOUT_EMBEDDING = (
    "this model holds no embeddings: it looks at whole segments of recordings, or is an export of an earlier version. "
    "Make such an export anew: scripts/export.py RUN --out DIR, or EXPORT --out DIR without its run"
)
READ_AHEAD = 64  # utterances read together, so that neighbours in length share a batch and memory stays flat

OnBad = Callable[[BadClip], None]
Row = dict[str, Any]
Output = np.ndarray | str  # or in words, why there is none


def raise_bad(error: BadClip) -> None:
    raise error


@dataclass(frozen=True)
class Predictor:
    """Predicts recordings between `min_seconds` and `max_seconds` long, as waveforms (samples,), float32 at `rate_hz`.

    `predict_waveforms` returns for each of them probabilities (classes,), or ratings (frames, dimensions) that are
    `frame_seconds` apart (0: probabilities); or in words, why it has none. `rate_long` instead rates files longer than
    `whole_seconds`, in windows. `judge` gives classes their confidence. With several `heads`, the columns of further
    targets follow the probabilities. With `rates_clips` the outputs are ratings (dimensions,) of a whole clip.
    Recordings up to `longest_seconds` are classified in windows. `embed_waveforms`
    returns an embedding (width,) of each; None without.
    """

    outputs: tuple[str, ...]
    trained_on: str
    rate_hz: int
    min_seconds: float
    max_seconds: float
    predict_waveforms: Callable[[Sequence[np.ndarray]], Sequence[Output]]
    frame_seconds: float = 0.0
    whole_seconds: float = float("inf")
    rate_long: Callable[[Path], np.ndarray] | None = None
    heads: Heads = ()
    judge: Judge = without_fit
    longest_seconds: float = 86_400.0
    rates_clips: bool = False
    embed_waveforms: Callable[[Sequence[np.ndarray]], Sequence[np.ndarray]] | None = None

    def predict(
        self,
        clips: Sequence[Clip],
        on_bad: OnBad = raise_bad,
        names: Sequence[str] = (),
        clips_hz: int | None = None,
    ) -> Iterator[Row]:
        """Yield rows for clips: audio files, their bytes, or samples at `clips_hz`, by default at `rate_hz`.

        {"file", "emotion", "probabilities": {class: probability}, "confidence", "abstained", "trained_on", "reason"}
        per file; {"file", "ratings": {dimension: rating}, "trained_on", "reason"} of a model that rates clips; or
        {"file", "time" in seconds, a rating per dimension, "trained_on", "reason"} per frame. "file" is of
        `names`, by default the path, or the position of another clip, such as "#0". "confidence" and "abstained" are
        those of zoo.inference.confidence. "reason" is None; a recording without speech (its kind is in
        `WITHOUT_SPEECH`) has one row, "reason" says why, and the other values are None. A model of several targets adds
        "targets": {name: number, or {"prediction": class, "probabilities": {class: probability}}}.

        A recording that cannot be used, or for which the model has no finite output, goes to `on_bad` (which raises)
        and is left out.
        """
        names = names or names_of(clips)
        size = 1 if self.frame_seconds else READ_AHEAD  # ratings: one recording with its thousands of rows
        for some, of_some in zip(in_turn(clips, size), in_turn(names, size), strict=True):
            for name, result in zip(of_some, self._predict(some, of_some, clips_hz), strict=True):
                if not isinstance(result, BadClip):
                    yield from self._rows(name, *result)
                elif result.kind in WITHOUT_SPEECH:
                    yield self._without_answer(name, result)
                else:
                    on_bad(result)

    def row(self, name: str, result: tuple[np.ndarray, Row] | BadClip) -> Row:
        """Return the row of a classification, or of why there is none."""
        return self._without_answer(name, result) if isinstance(result, BadClip) else next(self._rows(name, *result))

    def embed(self, clips: Sequence[Clip], clips_hz: int | None = None) -> np.ndarray:
        """Return the embeddings of clips (n, width), float32, as `predict` takes them.

        Raises BadClip for a clip that cannot be used, or has no speech in it, and UserError for a model without them.
        """
        if self.embed_waveforms is None:
            raise UserError(_WITHOUT_EMBEDDING)
        found: list[np.ndarray] = []
        for some, names in zip(in_turn(clips), in_turn(names_of(clips)), strict=True):
            waveforms = []
            for result in read_each(some, self.rate_hz, self.min_seconds, self.max_seconds, names, clips_hz):
                if isinstance(result, BadClip):
                    raise result
                waveforms.append(result)
            vectors = self.embed_waveforms(waveforms)
            found += [checked(vector, (None,), name) for vector, name in zip(vectors, names, strict=True)]
        return np.stack(found).astype(np.float32) if found else np.zeros((0, 0), np.float32)

    def _predict(
        self, clips: Sequence[Clip], names: Sequence[str], clips_hz: int | None
    ) -> list[tuple[np.ndarray, Row] | BadClip]:
        """Return outputs of clips with their confidence, or why there is none."""
        first = clips[0]  # ratings come one file at a time
        if self.rate_long and is_file(first) and seconds_of(Path(first)) > self.whole_seconds:
            try:
                return [(checked(self.rate_long(Path(first)), (None, len(self.outputs)), names[0]), {})]
            except BadClip as error:
                return [error]
        read = list(read_each(clips, self.rate_hz, self.min_seconds, self.max_seconds, names, clips_hz))
        return self.judged(read, names)

    def judged(
        self, read: Sequence[np.ndarray | BadClip], names: Sequence[str]
    ) -> list[tuple[np.ndarray, Row] | BadClip]:
        """Return outputs of waveforms (samples,) with their confidence, or why there is none."""
        waveforms = [result for result in read if not isinstance(result, BadClip)]
        outputs = iter(zip(waveforms, self.predict_waveforms(waveforms), strict=True) if waveforms else ())
        return [
            result if isinstance(result, BadClip) else self._checked(*next(outputs), name)
            for result, name in zip(read, names, strict=True)
        ]

    def _checked(self, waveform: np.ndarray, output: Output, name: str) -> tuple[np.ndarray, Row] | BadClip:
        try:
            values = checked(output, self._shape(waveform), name)
        except BadClip as error:
            return error
        return values, {} if self.frame_seconds or self.rates_clips else self.judge(
            values[: len(self.outputs)], waveform
        )

    def _shape(self, waveform: np.ndarray) -> tuple[int, ...]:
        frame = round(self.frame_seconds * self.rate_hz)
        if frame:
            return len(waveform) // frame, len(self.outputs)
        return (len(column_names(self.heads)) or len(self.outputs),)

    def _rows(self, file: str, output: np.ndarray, confidence: Row) -> Iterator[Row]:
        rest = {"trained_on": self.trained_on, "reason": None}
        if self.rates_clips:
            yield {"file": file, "ratings": named(self.outputs, output), **rest}
        elif not self.frame_seconds:
            main = emotion(self.outputs, output[: len(self.outputs)], confidence)
            yield {"file": file, **main, **further_targets(self.heads, output), **rest}
        for frame, values in enumerate(output if self.frame_seconds else ()):
            yield {"file": file, "time": round(frame * self.frame_seconds, 3), **named(self.outputs, values), **rest}

    def _without_answer(self, file: str, error: BadClip) -> Row:
        rest = {"trained_on": self.trained_on, "reason": reason(error)}
        if self.rates_clips:
            return {"file": file, "ratings": dict.fromkeys(self.outputs), **rest}
        if not self.frame_seconds:
            return {"file": file, **no_emotion(self.outputs), **further_targets(self.heads, None), **rest}
        return {"file": file, "time": None, **dict.fromkeys(self.outputs), **rest}


def checked(output: Output, shape: Sequence[int | None], name: str | Path) -> np.ndarray:
    """Return a model's output. Raises BadClip where it has none, another shape (None: any size), or NaN or infinity."""
    if isinstance(output, str):
        raise BadClip(name, "undefined", output)
    if len(output.shape) != len(shape) or any(b not in (None, a) for a, b in zip(output.shape, shape, strict=True)):
        expected = str(tuple(shape)).replace("None", "n")
        raise BadClip(name, "undefined", f"an output of the shape {output.shape} instead of {expected}")
    if not np.isfinite(output).all():
        raise BadClip(name, "undefined", "an output that is NaN or infinite")
    return output


def reason(error: BadClip) -> str:
    """Return why a recording has no answer, as rows say it: "silent: ..."."""
    return f"{error.kind}: {error.found}"


def named(outputs: Sequence[str], values: np.ndarray) -> dict[str, float]:
    """Return probabilities or ratings (outputs,) by name, to six decimals."""
    return {name: round(float(value), 6) for name, value in zip(outputs, values, strict=True)}


def emotion(outputs: Sequence[str], probabilities: np.ndarray, confidence: Row = NOTHING) -> Row:
    """Return {"emotion": the likeliest class, "probabilities": {class: probability}, "confidence", "abstained"}."""
    likeliest = outputs[int(probabilities.argmax())]
    return {"emotion": likeliest, "probabilities": named(outputs, probabilities), **confidence}


def no_emotion(outputs: Sequence[str]) -> Row:
    """Return what `emotion` does, for a recording without an answer."""
    return {"emotion": None, "probabilities": dict.fromkeys(outputs), **NOTHING}


def further_targets(heads: Heads, output: np.ndarray | None) -> Row:
    """Return {"targets": {name: ...}} by the output (columns,) of several heads, or None of each; {} for one head."""
    if len(heads) < 2:
        return {}
    targets: Row = {}
    found = split(heads, output[None]) if output is not None else {}
    for head in heads[1:]:
        if not head.classes:
            targets[head.name] = round(float(found[head.name][0]), 6) if found else None
            continue
        own = emotion(head.classes, found[head.name][0]) if found else no_emotion(head.classes)
        targets[head.name] = {"prediction": own["emotion"], "probabilities": own["probabilities"]}
    return {"targets": targets}


def in_turn(items: Sequence, size: int = READ_AHEAD) -> Iterator[Sequence]:
    """Yield `size` items at a time, in order."""
    return (items[start : start + size] for start in range(0, len(items), size))


def read_all(utterances: Sequence[Utterance], rate_hz: int, min_seconds: float, max_seconds: float) -> list[np.ndarray]:
    """Read a corpus's utterances, files or segments of them. Raises BadClip for the first that cannot be used."""

    def waveform(clip: Utterance) -> np.ndarray:
        return read(clip.path, rate_hz, min_seconds, max_seconds, segment=clip.segment)

    with ThreadPoolExecutor(max_workers=2) as pool:
        return list(pool.map(waveform, utterances))


def read_each(
    clips: Sequence[Clip],
    rate_hz: int,
    min_seconds: float,
    max_seconds: float,
    names: Sequence[str] = (),
    clips_hz: int | None = None,
) -> Iterator[np.ndarray | BadClip]:
    """Yield clips as float32 waveforms at `rate_hz`, or why one cannot be used. Two are read at the same time.

    `names` are what errors call them; `clips_hz` is the rate of samples, by default `rate_hz`.
    """

    def waveform(clip: Clip, name: str) -> np.ndarray | BadClip:
        try:
            return waveform_of(clip, name, clips_hz or rate_hz, rate_hz, min_seconds, max_seconds)
        except BadClip as error:
            return error

    with ThreadPoolExecutor(max_workers=2) as pool:
        yield from pool.map(waveform, clips, names or names_of(clips))
