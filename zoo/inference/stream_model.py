"""The interface of models for streaming, and exports adapted to it (stream_run.py adapts runs)."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from zoo.errors import UserError
from zoo.inference import export_predictor
from zoo.inference.confidence import Judge, judge_of, without_fit
from zoo.inference.postprocess import PostProcess, from_content
from zoo.inference.predictor import Output
from zoo.inference.stream_postprocess import reach
from zoo.serving.description import confidence_of
from zoo.serving.saved_model import Exported, limits_seconds

_AROUND = ("before_frames", "after_frames")

Step = Callable[[np.ndarray, int, int], np.ndarray]


@dataclass(frozen=True)
class Live:
    """A model as a stream calls it.

    `answer` maps one window of the waveform (samples,), or where `standard` its standardised samples (samples, 1), to
    ratings (frames, dimensions) or probabilities (classes,), or says in words why there are none. A rated frame is
    `frame_samples` long (0: classes);
    ratings come `delay_frames` later than the speech, or earlier where it is below 0. Where `answer` itself delays or
    smooths, a row depends on `inner_frames` before it and `inner_ahead_frames` behind.

    `begin` starts a recording with state and returns a function (features (samples, 1), first, count) -> ratings
    (count, folds, dimensions) of the frames from the `first` of those given, which needs `before_frames` before and
    `after_frames` behind them, where the recording has them. `chains` holds their post-processing by fold, or nothing.
    `judge` gives classes their confidence.
    """

    outputs: tuple[str, ...]
    trained_on: str
    rate_hz: int
    answer: Callable[[np.ndarray], Output]
    shortest: int
    longest: int
    frame_samples: int = 0
    standard: bool = False
    segment_frames: int = 0
    delay_frames: int = 0
    inner_frames: int = 0
    inner_ahead_frames: int = 0
    begin: Callable[[], Step] | None = None
    before_frames: int = 0
    after_frames: int = 0
    chains: tuple[PostProcess, ...] = ()
    judge: Judge = without_fit

    @property
    def way(self) -> str:
        """ "state", "windows" or "emotion"."""
        return "emotion" if not self.frame_samples else "state" if self.begin else "windows"


def of_export(exported: Exported) -> Live:
    """Adapt an export for streaming, with state where it has the signature "stream"."""
    description, predict_waveforms = (
        exported.description,
        export_predictor.of_export(exported, further=False).predict_waveforms,
    )
    on_waveforms = description["frontend"]["kind"] == "StandardWaveform"
    frame = description["frame_seconds"] if exported.continuous else 0
    shortest, longest = (round(seconds * exported.rate_hz) for seconds in limits_seconds(description))
    try:
        chains = tuple(map(from_content, description.get("postprocess", ())))
        around = {name: int(description["stream"][name]) for name in _AROUND} if "stream" in description else {}
        if around and "stream" not in description["signatures"]:
            raise ValueError("no signature of its streams")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{exported.folder}: its description is damaged ({error!r}); export the run again") from error
    live = Live(
        *(tuple(exported.outputs), description["trained_on"], exported.rate_hz),
        lambda window: (exported.on_features if on_waveforms else predict_waveforms)([window])[0],
        shortest,
        longest,
        frame_samples=round(frame * exported.rate_hz),
        standard=on_waveforms,
        segment_frames=description.get("segment_frames", 0),
        judge=judge_of(None if exported.continuous else confidence_of(description), exported.rate_hz),
    )
    delay = description.get("delay_frames", 0)
    if not around:
        before, after = reach(chains)
        return replace(live, inner_frames=max(0, before + delay), inner_ahead_frames=max(0, after - delay))

    def begin() -> Step:
        state = None

        def step(piece: np.ndarray, first: int, count: int) -> np.ndarray:
            nonlocal state
            ratings, state = exported.on_piece(piece, first, count, state)
            return ratings

        return step

    return replace(live, begin=begin, delay_frames=delay, chains=chains, **around)  # type: ignore[arg-type]
