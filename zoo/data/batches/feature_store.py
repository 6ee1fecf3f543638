"""Features on disk: each clip is decoded, checked and turned into features once, then kept by content.

A file's name in the cache is the hash of the audio file's bytes and of the front-end's settings, so a changed clip or
setting is another file; it appears by renaming a complete one, so a killed run leaves none half-written.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data.audio.read import BadClip
from zoo.data.audio.scan import file_sha256, probe
from zoo.data.schema import Clip
from zoo.errors import UserError
from zoo.utils.atomic_files import write_json, written_aside

# Raise it when the front-ends' arithmetic changes, so that features of older versions are never used.
VERSION = 1
_READ_AHEAD = 16


@dataclass(frozen=True)
class Features:
    """Where one clip's features lie: an .npy of float32 (n_frames, n_bands), and its audio's hash."""

    path: Path
    n_frames: int
    seconds: float
    audio_sha256: str

    def read(self, start: int = 0, n_frames: int | None = None) -> np.ndarray:
        """Returns `n_frames` frames (default: all) from `start`. Only these are read from disk."""
        # Not by np.load: it parses the header with ast, which CPython 3.11 cannot do in two threads at once (it raises
        # SystemError), and this is called from several.
        begin, size = _data_begin(self.path), self.path.stat().st_size
        n_bands = (size - begin) // (4 * self.n_frames)
        count = self.n_frames - start if n_frames is None else n_frames
        values = np.fromfile(self.path, np.float32, count * n_bands, offset=begin + 4 * start * n_bands)
        return values.reshape(count, n_bands)


@dataclass(frozen=True)
class InMemory:
    """What a model made of one clip's features, (n_frames, n), read as `Features` are."""

    values: np.ndarray

    @property
    def n_frames(self) -> int:
        return len(self.values)

    def read(self, start: int = 0, n_frames: int | None = None) -> np.ndarray:
        return self.values[start:] if n_frames is None else self.values[start : start + n_frames]


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
    """Returns every clip's features by its name, and "clip" and "reason" of those left out (`on_bad_clip="skip"`).

    `frontend` maps a waveform (samples,) to features (frames, bands); `settings` are what its result depends on. `hear`
    maps a waveform and its clip's name to what the front-end is to hear in its place, such as noisy speech; `settings`
    then say how, and clips of the same content and another name have features of their own.
    Reading and checking run ahead in threads, and the front-end too where it may be called by several. Raises BadClip
    naming the first clip that cannot be used, unless skipping; UserError when the cache folder cannot be written.
    """
    folder = cache / "features" / _digest({**settings, "rate_hz": rate_hz, "max_seconds": max_seconds, "v": VERSION})
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--cache-dir {cache}: cannot make {folder} ({error.strerror}); choose another") from error
    found: dict[str, Features] = {}
    bad: list[dict[str, str]] = []

    def cached_or_decoded(clip: Clip):
        content = file_sha256(clip.path)
        if hear:
            content = hashlib.sha256(f"{content} {clip.name}".encode()).hexdigest()
        path = folder / f"{content}.npy"
        features = _load(path)
        if features:
            return features, None
        facts, waveform = probe(clip.path, rate_hz, min_seconds, max_seconds)

        def made() -> Features:
            heard = hear(waveform, clip.name) if hear else waveform
            return _store(path, frontend(heard), facts.seconds, facts.audio_sha256)

        return (made(), None) if threads > 1 else (None, made)

    with ThreadPoolExecutor(max_workers=max(2, threads)) as pool:
        jobs = ((clip, pool.submit(cached_or_decoded, clip)) for clip in clips)
        for done, (clip, job) in enumerate(_ahead(jobs), start=1):
            try:
                features, make = job.result()
            except BadClip as error:
                if on_bad_clip == "fail":
                    pool.shutdown(cancel_futures=True)
                    raise
                bad.append({"clip": clip.name, "reason": str(error)})
                continue
            features = make() if make else features
            found[clip.name] = features
            progress(done)
    return found, bad


def _ahead(jobs: Iterator[tuple[Clip, Future]]) -> Iterator[tuple[Clip, Future]]:
    """Keeps a few jobs running ahead of the one handed out, however many there are."""
    waiting = list(islice(jobs, _READ_AHEAD))
    while waiting:
        yield waiting.pop(0)
        waiting.extend(islice(jobs, 1))


def _digest(settings: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def _load(path: Path) -> Features | None:
    """Returns cached features whose array is whole; None when they have to be made."""
    facts_path = path.with_suffix(".json")
    if not (path.is_file() and facts_path.is_file()):
        return None
    try:
        facts = json.loads(facts_path.read_text())
        n_frames, n_bands = facts["shape"]
        if path.stat().st_size != _data_begin(path) + 4 * n_frames * n_bands:
            return None  # cut short by the disk, not by us: make it again
        return Features(path, n_frames, facts["seconds"], facts["audio_sha256"])
    except (ValueError, KeyError):
        return None


def _data_begin(path: Path) -> int:
    """Returns where an .npy's values begin: its version 1 header gives its own length in bytes 8 and 9."""
    with path.open("rb") as file:
        head = file.read(10)
    return 10 + int.from_bytes(head[8:10], "little")


def _store(path: Path, features: np.ndarray, seconds: float, audio_sha256: str) -> Features:
    record = Features(path, len(features), seconds, audio_sha256)
    facts = {"shape": features.shape, "seconds": seconds, "audio_sha256": audio_sha256}
    with written_aside(path) as aside:
        np.save(aside, np.ascontiguousarray(features, np.float32), allow_pickle=False)
    write_json(path.with_suffix(".json"), facts)  # last: its presence says that both are whole
    return record
