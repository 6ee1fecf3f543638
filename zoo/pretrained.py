"""Load exported models by name and predict with them from Python. Keras is not needed."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypedDict, overload

import numpy as np

import zoo
from zoo.data.audio.read import to_mono
from zoo.errors import UserError, unknown
from zoo.inference.export_predictor import of_export
from zoo.inference.predictor import Clip
from zoo.inference.stream import Stream
from zoo.serving import saved_model
from zoo.serving.saved_model import Exported
from zoo.serving.versions import version_folder

MODELS_VARIABLE = "SPEECH_ZOO_MODELS"


class Emotion(TypedDict):
    """A classification: the likeliest class, and the probability of each in 0..1."""

    file: str
    emotion: str
    probabilities: dict[str, float]
    trained_on: str


class Ratings(TypedDict):
    """Ratings of a recording: times in seconds, and as many ratings of each dimension."""

    file: str
    time: list[float]
    ratings: dict[str, list[float]]
    trained_on: str


Answer = Emotion | Ratings


class Pretrained:
    """An export, loaded by `zoo.load`.

    `description` is its assets/description.json, `outputs` names the classes or the rated dimensions; it takes
    waveforms at `rate_hz`, to which files and others are resampled.
    """

    def __init__(self, exported: Exported):
        self.exported, self.description = exported, exported.description
        self.rate_hz, self.outputs = exported.rate_hz, exported.outputs
        self._predictor = of_export(exported)

    @overload
    def predict(self, clips: Clip, rate_hz: int | None = None) -> Answer: ...  # type: ignore[overload-overlap]

    @overload
    def predict(self, clips: Sequence[Clip], rate_hz: int | None = None) -> list[Answer]: ...

    def predict(self, clips: Clip | Sequence[Clip], rate_hz: int | None = None) -> Answer | list[Answer]:
        """Predict one clip, or several, in order.

        A clip is an audio file (zoo.data.audio.formats.READABLE), or samples (samples,) or (samples, channels), floats
        nominally in -1..1, at `rate_hz` (by default the model's own). The "file" of samples is "#" and their position.

        Raises zoo.data.audio.recording.BadClip, a zoo.errors.UserError, for one that cannot be used.
        """
        if isinstance(clips, (str, Path, np.ndarray)):
            return self.predict([clips], rate_hz)[0]
        ready = [self._mono(clip, rate_hz) if isinstance(clip, np.ndarray) else Path(clip) for clip in clips]
        if not self.exported.continuous:
            return list(self._predictor.predict(ready))  # type: ignore[arg-type]
        names = [f"#{number}" if isinstance(clip, np.ndarray) else str(clip) for number, clip in enumerate(ready)]
        return list(map(self._rate, ready, names))

    def stream(self, hop_seconds: float | None = None, **options: Any) -> Stream:
        """Return a zoo.inference.stream.Stream of this model, with its options."""
        return Stream(self.exported, hop_seconds, **options)

    def _rate(self, clip: Path | np.ndarray, name: str) -> Ratings:
        rows = list(self._predictor.predict([clip], names=[name]))
        time, trained_on = [row["time"] for row in rows], self.description["trained_on"]
        ratings = {output: [row[output] for row in rows] for output in self.outputs}
        return Ratings(file=name, time=time, ratings=ratings, trained_on=trained_on)

    def _mono(self, clip: np.ndarray, rate_hz: int | None) -> np.ndarray:
        if clip.ndim not in (1, 2) or clip.dtype.kind != "f":
            found = f"found {clip.dtype} {clip.shape}; divide integers by their largest"
            raise UserError(f"expected samples (samples,) or (samples, channels) of floats in -1..1, {found}")
        rate_hz = self.rate_hz if rate_hz is None else rate_hz
        if not 1000 <= rate_hz <= 384_000:
            raise UserError(f"rate_hz is {rate_hz}, expected 1000 to 384000")
        return to_mono(clip.astype(np.float32).reshape(len(clip), -1), rate_hz, self.rate_hz)


def load(place: str | Path) -> Pretrained:
    """Load a model of saved_models/ by its name, or an export by its folder.

    Raises UserError for a name that is not there (it lists those that are), or an export that is damaged.
    """
    return Pretrained(saved_model.load(find(place)))


def find(place: str | Path) -> Path:
    """Return the folder of an export's version, the newest where `place` has several. Raises UserError as `load`."""
    found = version_folder(Path(place)) or version_folder(folder() / place)
    if found:
        return found
    if (Path(place) / "config.json").is_file():
        raise UserError(f"{place}: expected an exported model, found a run; export it with scripts/export.py")
    if Path(place).exists() or len(Path(place).parts) > 1:
        saved_model.load(place)  # raises the error that says what is wrong with it
    if not names():
        raise UserError(
            f"{place}: no such model, for none is in {folder()}; give one's folder, or theirs in {MODELS_VARIABLE}"
        )
    raise unknown("model", str(place), names())


def names() -> list[str]:
    """Return the names of the models that `load` knows."""
    paths = folder().iterdir() if folder().is_dir() else ()
    return sorted(path.name for path in paths if version_folder(path))


def folder() -> Path:
    """Return the folder of named models: $SPEECH_ZOO_MODELS, or saved_models/ beside the package."""
    return Path(os.environ.get(MODELS_VARIABLE) or Path(zoo.__file__).parents[1] / "saved_models")
