"""Keep the features of each clip on disk, by the hash of the audio file's bytes.

A folder's name is the hash of the front-end's settings and arithmetic. A file is an .npy of float32 or float16, which
NumPy reads, followed by JSON of what else is known of the clip and by the CRC-32 of all that and of the file's place,
in hexadecimal.
"""

import hashlib
import json
import re
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO

import numpy as np

from zoo.data.audio.read import read
from zoo.data.audio.recording import CANCELLED, LOUDEST, QUIETEST, BadClip, Segment, check_finite
from zoo.data.audio.scan import Probe, file_sha256, probe
from zoo.data.batches.fingerprint import fingerprint, kept
from zoo.data.schema import Clip
from zoo.errors import UserError
from zoo.utils.atomic_files import written_aside

# A file, a segment of it and the most seconds it may last -> the facts of it, as `probe` has them, and its features.
OfFile = Callable[[Path, Segment, float], tuple[Probe, np.ndarray]]

_READ_AHEAD = 16
_FORMAT = 2  # of files: 2 is the first with a checksum
_CHECKSUM_SIZE = 8
_BLOCK = 1 << 20
_HEADER_SIZE = 128  # of an .npy of two dimensions
_DTYPE = re.compile(rb"'descr': '<(f[24])'")
_SHAPE = re.compile(rb"'shape': \((\d+), (\d+)\)")


@dataclass(frozen=True)
class Features:
    """Where one clip's features lie: an .npy (n_frames, n_bands), of float32 or float16, and its audio's hash."""

    path: Path
    n_frames: int
    seconds: float
    audio_sha256: str

    def read(self, start: int = 0, n_frames: int | None = None) -> np.ndarray:
        """Return `n_frames` frames (default: all) from `start`, float32. Only these are read from disk.

        Raises UserError where they are no longer there.
        """
        count = self.n_frames - start if n_frames is None else n_frames
        try:
            with self.path.open("rb") as file:
                begin, _, n_bands, kind = _header(file)
            values = np.fromfile(self.path, kind, count * n_bands, offset=begin + kind.itemsize * start * n_bands)
            return values.reshape(count, n_bands).astype(np.float32, copy=False)
        except (OSError, ValueError) as error:
            raise UserError(
                f"{self.path}: expected features that were there when the program began, found a file that is gone or "
                f"cut short ({error}). Start again; with --resume, train.py goes on"
            ) from error


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
    stored_as: str = "float32",
    alter: Callable[[np.ndarray, str], np.ndarray] | None = None,
    of_file: OfFile | None = None,
    sources: Sequence[Path] = (),
    progress: Callable[[int], None] = lambda done: None,
) -> tuple[dict[str, Features], list[dict[str, str]]]:
    """Return every clip's features by its name, and of those left out (`on_bad_clip="skip"`) "clip", "kind", "reason".

    `frontend` maps a waveform (samples,) to features (frames, bands); `settings` are what its result depends on.
    `alter` maps a waveform and its clip's name to the waveform that the front-end gets instead, such as noisy speech;
    `settings` then say how. Files are `stored_as` float32 or float16; those with a value beyond the latter's range stay
    float32. Several `threads` call the front-end too, or in its place `of_file`, but for altered clips; once for clips
    of identical bytes. `sources` are those of `kept`. Damaged files of the cache are named, and made again.

    Raises BadClip naming the first clip that cannot be used, or whose features are not finite, unless skipping;
    UserError when the cache folder cannot be written, or a file changes while it is read.
    """
    features_of = (lambda waveform: frontend(alter(waveform, ""))) if alter else frontend
    arithmetic = kept(cache, settings, sources, lambda: fingerprint(features_of, rate_hz, max(1.0, min_seconds)))
    key = {**settings, "rate_hz": rate_hz, "max_seconds": max_seconds, "arithmetic": arithmetic}
    folder = _folder(cache, key if stored_as == "float32" else {**key, "stored_as": stored_as})
    making: dict[str, Lock] = {}
    known: dict[tuple, str] = {}  # hashes of files of which there are several segments

    def found_or_decoded(clip: Clip) -> Callable[[], Features]:
        path = folder / _file_name(clip, alter is not None, known)
        features = _load(path, clip)
        if features is not None:
            return lambda: features
        lock = making.setdefault(path.name, Lock())  # another clip may have the same bytes
        if of_file and not alter:
            with lock:
                if same := _load(path):
                    return lambda: same
                facts, values = of_file(clip.path, clip.segment, max_seconds)
                _check_same(clip, False, known, path)
                stored = _store(path, _checked(clip, values, "features"), facts, stored_as)
            return lambda: stored
        facts, waveform = probe(clip.path, rate_hz, min_seconds, max_seconds, clip.segment)
        _check_same(clip, alter is not None, known, path)

        def make() -> Features:
            with lock:
                given = clip, waveform, frontend, alter, round(min_seconds * rate_hz)
                return _load(path) or _store(path, _compute(*given), facts, stored_as)

        if threads == 1:
            return make
        made = make()
        return lambda: made

    found: dict[str, Features] = {}
    bad: list[dict[str, str]] = []
    with ThreadPoolExecutor(max_workers=max(2, threads)) as pool:
        jobs = ((clip, pool.submit(found_or_decoded, clip)) for clip in clips)
        for done, (clip, job) in enumerate(_ahead(jobs), start=1):
            try:
                found[clip.name] = job.result()()
            except BadClip as error:
                if on_bad_clip == "fail":
                    pool.shutdown(cancel_futures=True)
                    raise
                bad.append({"clip": clip.name, "kind": error.kind, "reason": str(error)})
            progress(done)
    return found, bad


def features_of_clip(
    clip: Clip,
    frontend: Callable[[np.ndarray], np.ndarray],
    rate_hz: int = 16_000,
    min_seconds: float = 0.025,
    max_seconds: float = 60.0,
    of_file: OfFile | None = None,
) -> np.ndarray:
    """Return a clip's features, float32 (frames, bands), as `extract` does, without a cache. Raises BadClip as that."""
    if of_file:
        return _checked(clip, of_file(clip.path, clip.segment, max_seconds)[1], "features")
    waveform = read(clip.path, rate_hz, min_seconds, max_seconds, segment=clip.segment)
    return _compute(clip, waveform, frontend, None, 0)


def _ahead(jobs: Iterator[tuple[Clip, Future]]) -> Iterator[tuple[Clip, Future]]:
    """Keep a few jobs running ahead of the one handed out, however many there are."""
    waiting = list(islice(jobs, _READ_AHEAD))
    while waiting:
        yield waiting.pop(0)
        waiting.extend(islice(jobs, 1))


def _folder(cache: Path, settings: Mapping[str, Any]) -> Path:
    """Make and return the folder of features that depend on `settings` and on what decodes and resamples audio."""
    libraries = ("numpy", "soundfile", "soxr", settings.get("backend", ""))
    versions = {name: sys.modules[name].__version__ for name in libraries if name in sys.modules}
    key = {**settings, "libraries": versions, "format": _FORMAT, "recordings": [LOUDEST, QUIETEST, CANCELLED]}
    folder = cache / "features" / hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--cache-dir {cache}: cannot make {folder} ({error.strerror}); choose another") from error
    return folder


def _file_name(clip: Clip, altered: bool, known: dict[tuple, str]) -> str:
    if clip.is_segment and clip.path.exists():
        facts = clip.path.stat()  # a file of a thousand segments is not read a thousand times to be hashed
        place = (clip.path, facts.st_mtime_ns, facts.st_size)
        content = known.get(place) or known.setdefault(place, file_sha256(clip.path))
        content = hashlib.sha256(f"{content} {clip.start_seconds!r} {clip.end_seconds!r}".encode()).hexdigest()
    else:
        content = file_sha256(clip.path)
    if altered:  # as its name says, by which random draws are seeded
        content = hashlib.sha256(f"{content} {clip.name}".encode()).hexdigest()
    return f"{content}.npy"


def _check_same(clip: Clip, altered: bool, known: dict[tuple, str], path: Path) -> None:
    """Raise UserError unless a clip's file is still that of the features' `path`."""
    if _file_name(clip, altered, known) != path.name:
        raise UserError(f"{clip.path}: the file has changed while it was read. Start again when it is complete")


def _compute(
    clip: Clip,
    waveform: np.ndarray,
    frontend: Callable[[np.ndarray], np.ndarray],
    alter: Callable[[np.ndarray, str], np.ndarray] | None,
    least_samples: int,
) -> np.ndarray:
    """Return features (frames, bands), float32. Raises BadClip where they are none or not finite."""
    if alter:
        waveform = alter(waveform, clip.name)
        if len(waveform) < least_samples:
            found = f"an altered copy of {len(waveform)} samples (the least is {least_samples})"
            raise BadClip(clip.path, "too-short", found)
    values = frontend(waveform)
    if not len(values):
        raise BadClip(clip.path, "too-short", f"{len(waveform)} samples, less than a frame of features")
    return _checked(clip, values, "features of an altered copy" if alter else "features")


def _checked(clip: Clip, values: np.ndarray, what: str) -> np.ndarray:
    """Return features as float32. Raises BadClip where they are not finite."""
    with np.errstate(over="ignore"):  # values beyond float32 become infinite, which is found next
        values = np.ascontiguousarray(values, np.float32)
    check_finite(values, clip.path, what)
    return values


def _load(path: Path, clip: Clip | None = None) -> Features | None:
    """Return features found in the cache; None when they have to be made. Of damaged ones of a `clip` a line tells."""
    try:
        with path.open("rb") as file:
            size = path.stat().st_size - _CHECKSUM_SIZE
            checksum = _crc32(path, iter(lambda: file.read(max(0, min(_BLOCK, size - file.tell()))), b""))
            if file.read() != checksum:
                raise ValueError("another checksum")
            begin, n_frames, n_bands, kind = _header(file)
            file.seek(begin + kind.itemsize * n_frames * n_bands)
            facts = json.loads(file.read()[:-_CHECKSUM_SIZE])
        return Features(path, n_frames, facts["seconds"], facts["audio_sha256"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        if clip:
            print(
                f"{path}: damaged features of {clip.path.name!r} in the cache ({error}); they are made again",
                file=sys.stderr,
            )
        return None


def _store(path: Path, values: np.ndarray, facts: Probe, stored_as: str = "float32") -> Features:
    """Write features (frames, bands) with their checksum; as float32 where float16 has not their range."""
    if stored_as == "float16" and np.abs(values).max() <= np.finfo(np.float16).max:
        values = values.astype(np.float16)
    about = json.dumps({"seconds": facts.seconds, "audio_sha256": facts.audio_sha256}).encode()
    with written_aside(path) as aside:
        np.save(aside, values, allow_pickle=False)
        with aside.open("rb+") as file:
            checksum = _crc32(path, chain(iter(lambda: file.read(_BLOCK), b""), (about,)))
            file.write(about + checksum)
    return Features(path, len(values), facts.seconds, facts.audio_sha256)


def _crc32(path: Path, parts: Iterable[bytes]) -> bytes:
    """Return the checksum of a file's place and content: another clip's file is whole, but not this one."""
    checksum = zlib.crc32(f"{path.parent.name}/{path.name}".encode())
    for part in parts:
        checksum = zlib.crc32(part, checksum)
    return f"{checksum:0{_CHECKSUM_SIZE}x}".encode()


def _header(file: BinaryIO) -> tuple[int, int, int, np.dtype]:
    """Return where an .npy's values begin, their numbers of frames and bands, and type. ValueError for another file.

    np.load parses the header with ast, which CPython 3.11 cannot do in two threads at once (SystemError).
    """
    file.seek(0)
    head = file.read(_HEADER_SIZE)
    shape, kind = _SHAPE.search(head), _DTYPE.search(head)
    if shape is None or kind is None:
        raise ValueError("no .npy of two dimensions, of float32 or float16")
    # A header of version 1 gives its own length in bytes 8 and 9.
    return 10 + int.from_bytes(head[8:10], "little"), int(shape[1]), int(shape[2]), np.dtype(f"<{kind[1].decode()}")
