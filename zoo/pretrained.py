"""Load exported models by name, or runs, and predict with them from Python. For exports Keras is not needed."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, overload

import numpy as np

import zoo
from zoo.errors import UserError, spelt, unknown
from zoo.inference.clips import Clip, is_clip, names_of, whole_hz
from zoo.inference.export_predictor import of_export
from zoo.inference.predictor import Predictor
from zoo.inference.reading import Reading
from zoo.inference.recordings import rows
from zoo.inference.rows import MIX, RatedSegment, Segment
from zoo.inference.stream import Stream
from zoo.models.weights.kinds import is_converted, is_published, unconverted
from zoo.serving import saved_model
from zoo.serving.listing import Listed, listed
from zoo.serving.saved_model import Exported
from zoo.serving.versions import version_folder

if TYPE_CHECKING:
    import keras

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


Answer = Segment | RatedSegment | Ratings


class Model:
    """What exports and runs have in common, as `zoo.load` gives them.

    `outputs` names the classes or the rated dimensions; it takes waveforms at `rate_hz`, to which files and others are
    resampled. `description` says what it was trained on ("trained_on") and more.
    """

    def __init__(self, predictor: Predictor, description: Mapping[str, Any]):
        self.description = description
        self.rate_hz, self.outputs = predictor.rate_hz, list(predictor.outputs)
        self._predictor = predictor

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

            an audio file      its path (zoo.data.audio.formats.READABLE), its content as bytes, or an open file of
                               bytes, which is read from where it is to its end, whether it can seek or not
            samples            (n,), (n, channels) or (channels, n), floats nominally in -1..1 at `rate_hz` (by default
                               the model's own), up to 8 channels, more than 8 samples: an array, a tensor (NumPy,
                               TensorFlow, PyTorch, JAX), a list of numbers or of lists of numbers

        Channels are mixed down by their mean. Any other list or tuple is one of clips: `[array, "a.wav"]`. Two lists
        of numbers are two channels; for two clips make arrays of them. The "file" of what has no path is "#" and its
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
    ) -> list[Segment | RatedSegment]:
        """Classify a recording of any length in windows of speech: a row per window (zoo.inference.rows), by time.

        `clip` and `rate_hz` are as in `predict`. `channels` is "mix" (the mean of all), "split" (rows for each), "left"
        or "right". Windows are cut of speech, or of the whole recording with `any_sound`.

        Raises UserError for a model of ratings, which rates recordings of any length by `predict`, and BadClip.
        """
        if self._predictor.frame_seconds:
            raise UserError("segments() is for classes of emotion, and this model rates frames; use predict()")
        rate_hz = self.rate_hz if rate_hz is None else whole_hz(rate_hz, "rate_hz")
        reading = Reading("always", channels, any_sound)
        return list(rows(self._predictor, [clip], reading, clips_hz=rate_hz))  # type: ignore[arg-type]

    def embed(self, clips: Clip | Sequence[Clip], rate_hz: int | None = None) -> np.ndarray:
        """Return an embedding of each clip, (n, width) float32: the vector that the network's last layer takes.

        Clips are those of `predict`; a single one gives (1, width). Of ratings it is the mean over frames; those of
        several folds are side by side. Raises BadClip for a clip that cannot be used or has no speech in it, UserError
        for a model without embeddings: an export of an earlier version, a network that looks at whole segments.
        """
        rate_hz = self.rate_hz if rate_hz is None else whole_hz(rate_hz, "rate_hz")
        single = is_clip(clips) or not isinstance(clips, (list, tuple))
        return self._predictor.embed([clips] if single else clips, rate_hz)  # type: ignore[list-item, arg-type]

    def trainable(self, fold: str | None = None) -> "keras.Model":
        """Return its network as a Keras model, to be trained further; `fold` is a number where it has several.

        The model takes {"waveform": (batch, samples) float32 at `rate_hz`, "n_samples": (batch,) int32}, its front-end
        inside, and gives probabilities or ratings; one on openSMILE's features takes {"features": (batch, rows,
        width), "n_frames": (batch,)}. It is not compiled, and has neither the temperature nor the post-processing of an
        export. What is trained is the caller's copy. Keras is imported here, on the backend $KERAS_BACKEND.

        Raises UserError for an export without a Keras model, such as one of an earlier version, and for a `fold` that
        is unknown, or open among several.
        """
        from zoo.runs.model_file import load_model

        return load_model(chosen_fold(self._keras_files(), fold, self._called()), waveforms=False)

    def _called(self) -> str:
        raise NotImplementedError

    def _keras_files(self) -> Mapping[str, Path]:
        """Return the files of Keras models by fold."""
        raise NotImplementedError

    def _predict(self, clips: Sequence[Any], rate_hz: int, any_sound: bool) -> list[Any]:
        if not self._predictor.frame_seconds:
            return list(rows(self._predictor, clips, Reading("never", any_sound=any_sound), clips_hz=rate_hz))
        return [self._rate(*pair, rate_hz) for pair in zip(clips, names_of(clips), strict=True)]

    def _rate(self, clip: Clip, name: str, rate_hz: int) -> Ratings:
        rows = list(self._predictor.predict([clip], names=[name], clips_hz=rate_hz))
        rated, trained_on = [row for row in rows if row["reason"] is None], self.description["trained_on"]
        time, ratings = [row["time"] for row in rated], {name: [row[name] for row in rated] for name in self.outputs}
        return Ratings(file=name, time=time, ratings=ratings, trained_on=trained_on, reason=rows[0]["reason"])


class Pretrained(Model):
    """An export, loaded by `zoo.load`; `description` is its assets/description.json."""

    def __init__(self, exported: Exported):
        super().__init__(of_export(exported), exported.description)
        self.exported = exported

    def stream(self, hop_seconds: float | None = None, **options: Any) -> Stream:
        """Return a zoo.inference.stream.Stream of this model, with its options."""
        return Stream(self.exported, hop_seconds, **options)

    def _called(self) -> str:
        return str(self.exported.folder)

    def _keras_files(self) -> Mapping[str, Path]:
        if files := self.description.get("keras"):
            return {fold: self.exported.folder / name for fold, name in files.items()}
        why = self.description.get("without_keras", "it was exported by an earlier version, or with --forms none")
        raise UserError(
            f"{self.exported.folder}: holds no Keras model to be trained further: {why}. Train its run further by "
            "train.py --init-from, or export it again: scripts/export.py RUN --out DIR, or EXPORT without its run"
        )


class TrainedRun(Model):
    """A finished run, loaded by `zoo.load`: its folds' outputs are averaged. `description` is its metrics.json."""

    def __init__(self, folder: Path):
        if "keras" not in sys.modules:
            from zoo.config import saved
            from zoo.utils.backends import use_backend

            use_backend(os.environ.get("KERAS_BACKEND") or saved.load(folder / "config.json").backend)
        from zoo.inference.run_predictor import of_run
        from zoo.runs.open_run import open_run

        opened = open_run(folder)
        super().__init__(of_run(folder), {**opened.record, "trained_on": opened.corpus})
        self._folder, self._fold_folders = folder, opened.fold_folders

    def stream(self, hop_seconds: float | None = None, **options: Any) -> Stream:
        """Return a zoo.inference.stream.Stream of this run, with its options."""
        from zoo.inference.stream_run import of_run

        return Stream(of_run(self._folder), hop_seconds, **options)

    def _called(self) -> str:
        return str(self._folder)

    def _keras_files(self) -> Mapping[str, Path]:
        return {folder.name.removeprefix("fold-"): folder / "model.keras" for folder in self._fold_folders}


class PublishedHead(Model):
    """Published weights with a head of classes, or of ratings of a clip, loaded by `zoo.load`.

    `description` has their task, licence and checksum.
    """

    def __init__(self, folder: Path):
        from zoo.inference import published_head

        super().__init__(published_head.of_weights(folder), published_head.describe(folder))
        self._folder = folder

    def stream(self, hop_seconds: float | None = None, **options: Any) -> Stream:
        """Return a zoo.inference.stream.Stream of this head of classes, with its options."""
        from zoo.inference import published_head

        return Stream(published_head.live(self._folder), hop_seconds, **options)

    def _keras_files(self) -> Mapping[str, Path]:
        family = self.description["family"]
        raise UserError(
            f"{self._folder}: published weights are no Keras model to be trained further; train a network on their "
            f"encoder: ser train --model {family} --weights {self._folder} ..."
        )


def load(place: str | Path, runtime: str = "auto") -> Pretrained | TrainedRun | PublishedHead:
    """Load a model of saved_models/ by its name, or an export, a run or published weights with a head by the folder.

    `runtime` is "auto", "onnx" or "tensorflow", as in zoo.serving.saved_model.load, for exports. Others need Keras, and
    take the backend that is running, $KERAS_BACKEND, or a run's own. Raises UserError for a name that is not there (it
    lists those that are), and for an export or a run that is damaged.
    """
    if is_converted(Path(place)):
        if runtime != "auto":
            raise UserError(f"runtime is for exports, and {place} holds published weights; leave it out")
        return PublishedHead(Path(place))
    if is_published(Path(place)):
        raise unconverted(Path(place))
    if not version_folder(Path(place)) and (Path(place) / "config.json").is_file():
        if runtime != "auto":
            raise UserError(f"runtime is for exports, and {place} is a run; leave it out")
        return TrainedRun(Path(place))
    return Pretrained(saved_model.load(find(place), runtime))


def chosen_fold(files: Mapping[str, Path], fold: str | None, place: str) -> Path:
    """Return the file of a fold by its number, or the only one. Raises UserError where it is unknown or open."""
    by_number = {name.split("-")[0]: path for name, path in files.items()}
    if fold is None and len(files) > 1:
        raise UserError(
            f"{place}: has the folds {', '.join(by_number)}; name one, as in trainable(fold={min(by_number)!r})"
        )
    if fold is not None and fold not in by_number:
        raise unknown(f"fold of {place}", fold, by_number)
    return next(iter(by_number.values())) if fold is None else by_number[fold]


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
