"""Keep the features of each clip on disk, by the hash of the audio file's bytes.

A folder's name is the hash of the front-end's settings and arithmetic.
"""

import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from zoo.data.audio.recording import BadClip
from zoo.data.audio.scan import file_sha256, probe
from zoo.data.schema import Clip
from zoo.errors import UserError
from zoo.utils.atomic_files import write_json, written_aside

_READ_AHEAD = 16
_FINGERPRINTS: MutableMapping[Callable, dict[tuple[int, float], str]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Features:
    """Where one clip's features lie: an .npy of float32 (n_frames, n_bands), and its audio's hash."""

    path: Path
    n_frames: int
    seconds: float
    audio_sha256: str

    def read(self, start: int = 0, n_frames: int | None = None) -> np.ndarray:
        """Return `n_frames` frames (default: all) from `start`. Only these are read from disk."""
        # np.load parses the header with ast, which CPython 3.11 cannot do in two threads at once (SystemError).
        begin = _data_begin(self.path)
        n_bands = (self.path.stat().st_size - begin) // (4 * self.n_frames)
        count = self.n_frames - start if n_frames is None else n_frames
        values = np.fromfile(self.path, np.float32, count * n_bands, offset=begin + 4 * start * n_bands)
        return values.reshape(count, n_bands)


@dataclass(frozen=True)
class InMemory:
    """A model's output for one clip, (n_frames, n), read as `Features` are."""

    values: np.ndarray

    @property
    def n_frames(self) -> int:
        return len(self.values)

    def read(self, start: int = 0, n_frames: int | None = None) -> np.ndarray:
        return self.values[start:][:n_frames]


def extract(
    clips: Sequence[Clip],
    frontend: Callable[[np.ndarray], np.ndarray],
    settings: Mapping[str, Any],
    cache: Path,
    *,
    rate_hz: int = 16_000,
    min_seconds: float = 0.025,
    max_seconds: float = 60.0,
    on_bad_clip: str = "fail",
    threads: int = 1,
    hear: Callable[[np.ndarray, str], np.ndarray] | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> tuple[dict[str, Features], list[dict[str, str]]]:
    """Return every clip's features by its name, and "clip" and "reason" of those left out (`on_bad_clip="skip"`).

    `frontend` maps a waveform (samples,) to features (frames, bands); `settings` are what its result depends on. `hear`
    maps a waveform and its clip's name to the waveform that the front-end gets instead, such as noisy speech;
    `settings` then say how. Several `threads` call the front-end too. Raises BadClip naming the first clip that cannot
    be used, unless skipping; UserError when the cache folder cannot be written.
    """

    def features_of(waveform: np.ndarray, name: str = "") -> np.ndarray:
        return frontend(hear(waveform, name) if hear else waveform)

    # The fingerprint does not cover decoding and resampling: the versions of what does them are in the key.
    libraries = ("numpy", "soundfile", "soxr", settings.get("backend", ""))
    key = {
        **settings,
        "rate_hz": rate_hz,
        "max_seconds": max_seconds,
        "arithmetic": fingerprint(features_of if hear else frontend, rate_hz, max(1.0, min_seconds)),
        "libraries": {name: sys.modules[name].__version__ for name in libraries if name in sys.modules},
    }
    folder = cache / "features" / hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--cache-dir {cache}: cannot make {folder} ({error.strerror}); choose another") from error
    found: dict[str, Features] = {}
    bad: list[dict[str, str]] = []

    def cached_or_decoded(clip: Clip) -> Callable[[], Features]:
        content = file_sha256(clip.path)
        if hear:
            content = hashlib.sha256(f"{content} {clip.name}".encode()).hexdigest()
        path = folder / f"{content}.npy"
        features = _load(path)
        if features is None:
            facts, waveform = probe(clip.path, rate_hz, min_seconds, max_seconds)

            def make() -> Features:
                return _store(path, features_of(waveform, clip.name), facts.seconds, facts.audio_sha256)

            if threads == 1:
                return make
            features = make()
        return lambda: features

    with ThreadPoolExecutor(max_workers=max(2, threads)) as pool:
        jobs = ((clip, pool.submit(cached_or_decoded, clip)) for clip in clips)
        for done, (clip, job) in enumerate(_ahead(jobs), start=1):
            try:
                make = job.result()
            except BadClip as error:
                if on_bad_clip == "fail":
                    pool.shutdown(cancel_futures=True)
                    raise
                bad.append({"clip": clip.name, "reason": str(error)})
                continue
            found[clip.name] = make()
            progress(done)
    return found, bad


def fingerprint(features_of: Callable[[np.ndarray], np.ndarray], rate_hz: int, seconds: float) -> str:
    """Return a hash of an extractor's features of one generated signal, which changes when its arithmetic does.

    Not when the last bits do: it is of means over time and neighbouring bands, to three significant digits.
    """
    known = _FINGERPRINTS.setdefault(features_of, {})
    if (rate_hz, seconds) not in known:
        time = np.arange(round(seconds * rate_hz)) / rate_hz
        sawtooth = (120 * time + 40 * time**2) % 1 - 0.5  # of rising pitch, over noise: every band has energy
        signal = 0.5 * sawtooth + np.random.default_rng(0).uniform(-0.01, 0.01, len(time))
        signal[: len(time) // 10] = 0  # a pause, for what keeps logarithms and quotients finite
        features = np.asarray(features_of(signal.astype(np.float32)), np.float64)
        rising = np.linspace(0.5, 1.5, len(features))[:, None] / len(features)  # so that order in time matters
        bands = np.stack([(part(features, 0) * rising).sum(axis=0) for part in (np.maximum, np.minimum)])
        groups = np.array_split(bands, min(16, features.shape[1]), axis=1)
        means = np.stack([group.mean(axis=1) for group in groups])
        step = 10 ** (np.floor(np.log10(np.abs(means).max(axis=1, keepdims=True) + 1e-30)) - 2)
        content = f"{features.shape} {step.tolist()} {(np.round(means / step) + 0.0).tolist()}"  # no -0.0
        known[rate_hz, seconds] = hashlib.sha256(content.encode()).hexdigest()
    return known[rate_hz, seconds]


def _ahead(jobs: Iterator[tuple[Clip, Future]]) -> Iterator[tuple[Clip, Future]]:
    """Keep a few jobs running ahead of the one handed out, however many there are."""
    waiting = list(islice(jobs, _READ_AHEAD))
    while waiting:
        yield waiting.pop(0)
        waiting.extend(islice(jobs, 1))


def _load(path: Path) -> Features | None:
    """Return cached features that are complete; None when they have to be made."""
    try:
        facts = json.loads(path.with_suffix(".json").read_text())
        n_frames, n_bands = facts["shape"]
        if path.stat().st_size != _data_begin(path) + 4 * n_frames * n_bands:
            return None  # cut short by the disk: written files are whole
        return Features(path, n_frames, facts["seconds"], facts["audio_sha256"])
    except (FileNotFoundError, ValueError, KeyError):
        return None


def _data_begin(path: Path) -> int:
    """Return where an .npy's values begin: its version 1 header gives its own length in bytes 8 and 9."""
    with path.open("rb") as file:
        return 10 + int.from_bytes(file.read(10)[8:], "little")


def _store(path: Path, features: np.ndarray, seconds: float, audio_sha256: str) -> Features:
    with written_aside(path) as aside:
        np.save(aside, np.ascontiguousarray(features, np.float32), allow_pickle=False)
    facts = {"shape": features.shape, "seconds": seconds, "audio_sha256": audio_sha256}
    write_json(path.with_suffix(".json"), facts)  # last: its presence says that both are whole
    return Features(path, len(features), seconds, audio_sha256)
