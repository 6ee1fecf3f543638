"""Exported models loaded and asked, by TensorFlow alone: neither Keras nor the run is needed."""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data.audio.read import LOUDEST, BadClip, read
from zoo.errors import UserError
from zoo.serving import graph_audit
from zoo.serving.versions import numbers

FORMAT = 1  # of description.json; another number says that its keys mean something else
DESCRIPTION = Path("assets") / "description.json"
_CLIP_SECONDS = (0.06, 60.0)  # where a clip is one row of openSMILE's functionals
_KEYS = ("format", "model", "task", "rate_hz", "frontend", "shortest", "longest", "trained_on", "signatures", "files")
_WINDOW = 64  # clips are read so many at a time: neighbours in length share a batch, and memory stays flat
_BATCH_SECONDS = 120

OnBad = Callable[[BadClip], None]


@dataclass(frozen=True)
class Exported:
    """An export, loaded. `module` is what TensorFlow makes of it; `description` is description.json."""

    folder: Path
    description: Mapping[str, Any]
    module: Any

    @property
    def rate_hz(self) -> int:
        """Sampling rate of the waveforms it takes."""
        return self.description["rate_hz"]

    @property
    def continuous(self) -> bool:
        """Whether it rates every frame, rather than tell classes of emotion apart."""
        return self.description["task"] == "continuous"

    @property
    def outputs(self) -> list[str]:
        """Names of the classes, or of the rated dimensions."""
        return self.description["dimensions" if self.continuous else "classes"]

    def on_waveforms(self, clips: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Answers waveforms (samples,) in one request: for each, probabilities (classes,) or ratings (frames, dims)."""
        waveform, n_samples = _padded(clips)
        return self._answers("serving_default", waveform=waveform, n_samples=n_samples)

    def on_features(self, features: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Answers features (frames, bands), as the front-end makes them, in one request."""
        rows, n_frames = _padded(features)
        return self._answers("features", features=rows, n_frames=n_frames)

    def on_wav_bytes(self, files: Sequence[bytes]) -> list[np.ndarray]:
        """Answers the contents of 16-bit WAV files at `rate_hz` in one request."""
        import tensorflow as tf

        return self._answers("wav_bytes", wav_bytes=tf.constant(files, tf.string))

    def on_piece(
        self, features: np.ndarray, first: int, count: int, state: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Goes on in a recording, by the signature "stream" (zoo.export.stream_signature).

        features (samples, channels), frames to be rated, the state before them (none at the start) -> ratings (count,
        folds, dimensions) without delay and post-processing, and the state after them.
        """
        import tensorflow as tf

        if state is None:
            size = self.description["signatures"]["stream"]["inputs"]["state"]["shape"][-1]
            state = np.zeros((1, size), np.float32)
        request = {"features": tf.constant(features[None]), "first": tf.constant(first), "count": tf.constant(count)}
        answers = self.module.signatures["stream"](**request, state=tf.constant(state))
        return answers["ratings"].numpy()[0], answers["state"].numpy()

    def answer(self, clips: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Answers waveforms (samples,) of any number, float32 at `rate_hz`, in batches of like length; in order."""
        if self.description["frontend"]["kind"] == "functionals":
            return [self.on_features([self._functionals(clip)])[0] for clip in clips]
        answers: list[np.ndarray] = [np.empty(0)] * len(clips)
        order = sorted(range(len(clips)), key=lambda index: len(clips[index]))
        while order:
            size = max(1, int(_BATCH_SECONDS * self.rate_hz / max(1, len(clips[order[-1]]))))
            order, chosen = order[:-size], order[-size:]
            for index, answer in zip(chosen, self.on_waveforms([clips[index] for index in chosen]), strict=True):
                answers[index] = answer
        return answers

    def predict(
        self, clips: Sequence[str | Path | np.ndarray], on_bad: OnBad | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yields what a run's own prediction yields, for files or waveforms (samples,) at `rate_hz`.

        For classes {"file", "emotion", "probabilities": {class: share}, "trained_on"} per clip; for ratings {"file",
        "time" in seconds, a rating per dimension, "trained_on"} per frame. The "file" of a waveform is its number
        here, such as "#0". What cannot be used raises BadClip, or is handed to `on_bad` and left out.
        """
        for start in range(0, len(clips), _WINDOW):
            good = list(self._read(clips[start : start + _WINDOW], start, on_bad))
            answers = self.answer([waveform for _, waveform in good])
            for (name, _), answer in zip(good, answers, strict=True):
                yield from self.in_words(name, answer)

    def _read(self, clips, start: int, on_bad: OnBad | None) -> Iterator[tuple[str, np.ndarray]]:
        limits = limits_seconds(self.description)

        def waveform(numbered) -> tuple[str, np.ndarray | BadClip]:
            number, clip = numbered
            name = f"#{number}" if isinstance(clip, np.ndarray) else str(clip)
            try:
                if isinstance(clip, np.ndarray):
                    return name, _checked(clip, name, self.rate_hz, *limits)
                return name, read(clip, self.rate_hz, *limits)
            except BadClip as error:
                if on_bad is None:
                    raise
                return name, error

        with ThreadPoolExecutor(max_workers=2) as pool:
            for name, result in pool.map(waveform, enumerate(clips, start)):
                if isinstance(result, BadClip):
                    on_bad(result)  # type: ignore[misc]
                else:
                    yield name, result

    def in_words(self, name: str, answer: np.ndarray) -> Iterator[dict[str, Any]]:
        """Yields the rows of one answer, as `predict` has them for a file called so."""
        corpus = self.description["trained_on"]
        if not self.continuous:
            emotion = self.outputs[int(answer.argmax())]
            yield {"file": name, "emotion": emotion, "probabilities": self._named(answer), "trained_on": corpus}
            return
        for frame, values in enumerate(answer):
            time = round(frame * self.description["frame_seconds"], 3)
            yield {"file": name, "time": time, **self._named(values), "trained_on": corpus}

    def _named(self, values: np.ndarray) -> dict[str, float]:
        return {name: round(float(value), 6) for name, value in zip(self.outputs, values, strict=True)}

    def _functionals(self, clip: np.ndarray) -> np.ndarray:
        from zoo.frontends.opensmile import clip_functionals, functionals

        own = self.description["frontend"]
        if "functionals" in own:  # one row for the clip
            return clip_functionals(clip, self.rate_hz, own["feature_set"], own["functionals"])[None]
        return functionals(clip, self.rate_hz, own["feature_set"], own["functional_seconds"], own["frame_seconds"])

    def _answers(self, signature: str, **request) -> list[np.ndarray]:
        import tensorflow as tf

        answers = self.module.signatures[signature](
            **{name: tf.convert_to_tensor(item) for name, item in request.items()}
        )
        if not self.continuous:
            return list(answers["probabilities"].numpy())
        rows, counts = answers["arousal_valence"].numpy(), answers["n_frames"].numpy()
        return [row[:count] for row, count in zip(rows, counts, strict=True)]


def limits_seconds(description: Mapping[str, Any]) -> tuple[float, float]:
    """The shortest and the longest clip that can be answered, in seconds."""
    if description["lengths_in"] == "rows":
        return _CLIP_SECONDS
    unit = 1 / description["rate_hz"] if description["lengths_in"] == "samples" else description["frame_seconds"]
    return description["shortest"] * unit, description["longest"] * unit


def load(place: Path | str) -> Exported:
    """Loads an export: the folder of a version, or the newest version in a folder of them.

    Before TensorFlow sees it, its files, operations and description are checked: nothing in it can read or write other
    files, or run code. Raises UserError for what is no export, is damaged, of another format, or not safe.
    """
    folder = _version_folder(Path(place))
    graph_audit.check(folder)
    description = read_description(folder)
    _check_files(folder, description["files"])
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    try:
        module = tf.saved_model.load(str(folder))
    except (tf.errors.OpError, ValueError, KeyError, AttributeError, TypeError, OSError) as error:
        raise _damaged(folder, str(error).partition("\n")[0]) from error
    absent = set(description["signatures"]) - set(module.signatures)
    if absent:
        raise _damaged(folder, f"no signature {', '.join(sorted(absent))}")
    return Exported(folder, description, module)


def read_description(folder: Path) -> dict[str, Any]:
    """Reads an export's description.json. Raises UserError when it is absent, damaged or of another format."""
    path = folder / DESCRIPTION
    try:
        description = json.loads(path.read_text())
        absent = [key for key in _KEYS if key not in description]
        if description["format"] != FORMAT:
            raise UserError(
                f"{path}: expected format {FORMAT}, found {description['format']!r}; export the run again with this "
                "version"
            )
        if absent:
            raise ValueError(f"without {', '.join(absent)}")
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise _damaged(path, str(error)) from error
    return description


def _version_folder(place: Path) -> Path:
    if (place / "saved_model.pb").is_file():
        return place
    versions = numbers(place)
    if not versions:
        found = "no such folder" if not place.is_dir() else "neither saved_model.pb nor a numbered version"
        raise UserError(f"{place}: expected an exported model, found {found}; make one with scripts/export.py")
    return place / str(versions[-1])


def _check_files(folder: Path, files: Mapping[str, str]) -> None:
    for name, expected in files.items():
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
            raise _damaged(path, "no such file in the export")
        if sha256(path.read_bytes()).hexdigest() != expected:
            raise _damaged(path, "other contents than when it was exported")


def _damaged(path: Path, found: str) -> UserError:
    return UserError(
        f"{path}: expected a model as scripts/export.py writes it, found {found}. Fetch it again, or export the run "
        "again"
    )


def _padded(rows: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Rows (n, ...) of different lengths -> (batch, longest, ...) float32, and the lengths int32."""
    lengths = np.array([len(row) for row in rows], np.int32)
    shape = (max(lengths), *rows[0].shape[1:]) if len(rows) else (0,)
    padded = np.zeros((len(rows), *shape), np.float32)
    for into, row in zip(padded, rows, strict=True):
        into[: len(row)] = row
    return padded, lengths


def _checked(clip: np.ndarray, name: str, rate_hz: int, least: float, most: float) -> np.ndarray:
    if clip.ndim != 1 or clip.dtype.kind != "f":
        raise UserError(f"{name}: expected a waveform (samples,) of floats, found {clip.dtype} {clip.shape}")
    seconds = len(clip) / rate_hz
    if not len(clip):
        raise BadClip(name, "empty", "no samples")
    if not least <= seconds <= most:
        kind, limit = ("too-short", f"least is {least:g}") if seconds < least else ("too-long", f"most is {most:g}")
        raise BadClip(name, kind, f"{seconds:.4g} s (the {limit} s)")
    if not np.isfinite(clip).all():
        raise BadClip(name, "non-finite", "samples that are NaN or infinite")
    if np.abs(clip).max() > LOUDEST:
        raise BadClip(name, "too-loud", f"a sample of {np.abs(clip).max():.3g}")
    return clip.astype(np.float32)
