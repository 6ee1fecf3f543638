"""Load exported models by name and predict with them from Python. Keras is not needed."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypedDict, overload

import zoo
from zoo.errors import UserError, spelt, unknown
from zoo.inference.clips import Clip, is_clip, names_of, whole_hz
from zoo.inference.export_predictor import of_export
from zoo.inference.reading import Reading
from zoo.inference.recordings import rows
from zoo.inference.rows import MIX, Segment
from zoo.inference.stream import Stream
from zoo.serving import saved_model
from zoo.serving.listing import Listed, listed
from zoo.serving.saved_model import Exported
from zoo.serving.versions import version_folder

MODELS_VARIABLE = "SPEECH_ZOO_MODELS"


class Ratings(TypedDict):
    """Ratings of a recording: times in seconds, and as many ratings of each dimension.

    There are none for a recording without speech; `reason`, None otherwise, says why.
    """

    file: str
    time: list[float]
    ratings: dict[str, list[float]]
    trained_on: str
    reason: str | None


Answer = Segment | Ratings


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
    def predict(  # type: ignore[overload-overlap]
        self, clips: Clip, rate_hz: int | None = None, any_sound: bool = False
    ) -> Answer: ...

    @overload
    def predict(self, clips: Sequence[Clip], rate_hz: int | None = None, any_sound: bool = False) -> list[Answer]: ...

    def predict(
        self, clips: Clip | Sequence[Clip], rate_hz: int | None = None, any_sound: bool = False
    ) -> Answer | list[Answer]:
        """Predict one clip, or several, in order.

        A clip is one of

            an audio file      its path (zoo.data.audio.formats.READABLE), or its content as bytes
            samples            (n,), (n, channels) or (channels, n), floats nominally in -1..1 at `rate_hz` (by default
                               the model's own), up to 8 channels, more than 8 samples: an array, a tensor (NumPy,
                               TensorFlow, PyTorch, JAX), a list of numbers or of lists of numbers

        Channels are mixed down by their mean. Any other list or tuple is one of clips: `[array, "a.wav"]`. Two lists
        of numbers are two channels; for two clips make arrays of them. The "file" of what is no path is "#" and its
        position. A clip without speech has the answer None, and "reason" says why; with `any_sound` tones, music and
        noise are classified too. Longer recordings than a clip: `segments`.

        Raises zoo.data.audio.recording.BadClip, a zoo.errors.UserError, for a clip that cannot be used, UserError for
        what is none, such as integers, which are to be divided by their full scale.
        """
        rate_hz = self.rate_hz if rate_hz is None else whole_hz(rate_hz, "rate_hz")
        if is_clip(clips) or not isinstance(clips, (list, tuple)):
            return self._predict([clips], rate_hz, any_sound)[0]
        return self._predict(clips, rate_hz, any_sound)

    def segments(
        self, clip: Clip, rate_hz: int | None = None, channels: str = MIX, any_sound: bool = False
    ) -> list[Segment]:
        """Classify a recording of any length in windows of speech: a row per window (zoo.inference.rows), by time.

        `clip` and `rate_hz` are as in `predict`. `channels` is "mix" (the mean of all), "split" (rows for each), "left"
        or "right". Windows are cut of speech, or of the whole recording with `any_sound`.

        Raises UserError for a model of ratings, which rates recordings of any length by `predict`, and BadClip.
        """
        if self.exported.continuous:
            raise UserError("segments() is for classes of emotion, and this model rates frames; use predict()")
        rate_hz = self.rate_hz if rate_hz is None else whole_hz(rate_hz, "rate_hz")
        reading = Reading("always", channels, any_sound)
        return list(rows(self._predictor, [clip], reading, clips_hz=rate_hz))  # type: ignore[arg-type]

    def stream(self, hop_seconds: float | None = None, **options: Any) -> Stream:
        """Return a zoo.inference.stream.Stream of this model, with its options."""
        return Stream(self.exported, hop_seconds, **options)

    def _predict(self, clips: Sequence[Any], rate_hz: int, any_sound: bool) -> list[Any]:
        if not self.exported.continuous:
            return list(rows(self._predictor, clips, Reading("never", any_sound=any_sound), clips_hz=rate_hz))
        return [self._rate(*pair, rate_hz) for pair in zip(clips, names_of(clips), strict=True)]

    def _rate(self, clip: Clip, name: str, rate_hz: int) -> Ratings:
        rows = list(self._predictor.predict([clip], names=[name], clips_hz=rate_hz))
        rated, trained_on = [row for row in rows if row["reason"] is None], self.description["trained_on"]
        time, ratings = [row["time"] for row in rated], {name: [row[name] for row in rated] for name in self.outputs}
        return Ratings(file=name, time=time, ratings=ratings, trained_on=trained_on, reason=rows[0]["reason"])


def load(place: str | Path, runtime: str = "auto") -> Pretrained:
    """Load a model of saved_models/ by its name, or an export by its folder.

    `runtime` is "auto", "onnx" or "tensorflow", as in zoo.serving.saved_model.load. Raises UserError for a name that is
    not there (it lists those that are), or an export that is damaged.
    """
    return Pretrained(saved_model.load(find(place), runtime))


def find(place: str | Path) -> Path:
    """Return the folder of an export's version, the newest where `place` has several. Raises UserError as `load`."""
    found = version_folder(Path(place)) or version_folder(folder() / spelt(str(place), names()))
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
    raise UserError(f"{unknown('model', str(place), names()).message}; nor is a folder of this name here")


def names() -> list[str]:
    """Return the names of the models that `load` knows."""
    paths = folder().iterdir() if folder().is_dir() else ()
    return sorted(path.name for path in paths if version_folder(path))


def list_models() -> list[Listed]:
    """Describe the models that `load` knows. Raises UserError for a damaged one."""
    return listed(folder() / name for name in names())


def folder() -> Path:
    """Return the folder of named models: $SPEECH_ZOO_MODELS, that of an installation, or of a checkout."""
    if chosen := os.environ.get(MODELS_VARIABLE):
        return Path(chosen)
    package = Path(zoo.__file__).parent
    installed = package / "saved_models"  # where setup.py puts them
    return installed if installed.is_dir() else package.parent / "saved_models"
