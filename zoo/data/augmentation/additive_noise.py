"""Add noise at a stated signal-to-noise ratio, from recordings divided between training, validation and test."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data.audio.find import audio_by_name
from zoo.data.audio.read import read
from zoo.data.audio.scan import arrays_sha256
from zoo.errors import UserError, unknown

SNR_LEVELS = ("active", "all")
SPLITS = ("files", "time", "joined")
SIDES = ("train", "validation", "test")

_FRAME_SECONDS = 0.02
_HANGOVER_FRAMES = 10  # P.56: pauses of up to 0.2 s belong to speech
_MARGIN_DB = 15.9  # P.56: between the active speech level and the threshold of activity

_LONGEST_SECONDS = 600.0
_LEAST_FOR_THIRDS_SECONDS = 0.3
_FADE_SECONDS = 0.01
_FAINT = 1e-4  # of a recording's mean power (-40 dB): stretches below it are silence between events
_INAUDIBLE = 1e-5  # of full scale: a third of a 16-bit step


def active(waveform: np.ndarray, rate_hz: int) -> np.ndarray:
    """Mark the samples of active speech: bool (samples,). All False in silence.

    After ITU-T P.56 (2011), method B, on frames of 20 ms in place of its envelope: a frame is active when its mean
    power reaches a threshold, and so are the 0.2 s behind it. The threshold is 15.9 dB below the active level, all
    energy over the number of active samples; of the pairs that agree, the lowest is taken.
    """
    frame = max(1, round(_FRAME_SECONDS * rate_hz))
    starts = np.arange(0, len(waveform), frame)
    lengths = np.diff(starts, append=len(waveform))
    energy = np.add.reduceat(np.square(waveform, dtype=np.float64), starts)
    marked = energy > 0
    while marked.any():  # the level never falls, so fewer and fewer frames are left, and at last the same ones
        held = np.convolve(marked, np.ones(_HANGOVER_FRAMES + 1))[: len(marked)] > 0
        threshold = energy.sum() / lengths[held].sum() * 10 ** (-_MARGIN_DB / 10)
        louder = marked & (energy >= threshold * lengths)
        if (louder == marked).all():
            return np.repeat(held, lengths)
        marked = louder
    return np.zeros(len(waveform), bool)


def speech_power(waveform: np.ndarray, rate_hz: int, level: str = SNR_LEVELS[0]) -> float:
    """Return the mean square over the samples that are `active`, or over "all". Raises UserError for silence."""
    power = _power(waveform[active(waveform, rate_hz)] if level == "active" else waveform)
    if power == 0:
        raise UserError("SNR on silent speech: expected a sample that is not zero, found none. Leave the clip out")
    return power


def add(speech: np.ndarray, noise: np.ndarray, snr_db: float, rate_hz: int, level: str = SNR_LEVELS[0]) -> np.ndarray:
    """Add noise (samples,) to speech (samples,) so that 10 log10(P_speech / P_noise) is `snr_db`: float32 (samples,).

    P_speech is `speech_power`, P_noise the mean square of the noise. A sum beyond -1..1 is scaled down as a whole.
    Raises UserError for silent speech.
    """
    gain = np.sqrt(speech_power(speech, rate_hz, level) / _power(noise) / 10 ** (snr_db / 10))
    return within_one(speech.astype(np.float64) + gain * noise.astype(np.float64))


def within_one(waveform: np.ndarray) -> np.ndarray:
    """Scale a waveform down to a peak of 1 where it exceeds that. Returns float32 (samples,)."""
    return (waveform / max(1.0, np.abs(waveform).max(initial=0.0))).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Noises:
    """Recordings of noise, none of which is on two sides.

    `sides` maps each of `SIDES` to waveforms, float32 (samples,), of unit mean square; `names` to their files.
    `settings` identify the noises, for records and cache keys.
    """

    sides: Mapping[str, tuple[np.ndarray, ...]]
    names: Mapping[str, tuple[str, ...]]
    settings: dict[str, Any]

    def sample(self, side: str, n_samples: int, rng: np.random.Generator) -> np.ndarray:
        """Return a random stretch of a random recording of a side: float32 (n_samples,).

        A shorter recording is continued by another, with an equal-power crossfade of 10 ms. Stretches 40 dB fainter
        than their recording are not drawn.
        """
        recordings = self.sides[side]
        which = int(rng.integers(len(recordings)))
        joined = _stretch(recordings[which], n_samples, rng)
        while len(joined) < n_samples:
            if len(recordings) > 1:
                which = int(which + rng.integers(1, len(recordings))) % len(recordings)  # any but the last one
            fade = min(round(_FADE_SECONDS * self.settings["rate_hz"]), len(joined) // 2, len(recordings[which]) // 2)
            joined = _crossfade(joined, _stretch(recordings[which], n_samples - len(joined) + fade, rng), fade)
        return joined


def open_noises(folder: Path, rate_hz: int = 16_000, split: str = SPLITS[0], seed: int = 0) -> Noises:
    """Read every audio file below a folder (up to 600 s each, all in memory) and divide them in thirds.

    With `split` "files", files in an order shuffled by `seed` go to `SIDES` in turn (MixedEmotions D4.2, section 3);
    with "time", the thirds of each file do. With "joined", as in the deliverable, files are scaled to a peak of 1,
    those of a kind (in one folder) are joined, and the thirds of the result do. Copies of a file, found by their
    samples, are left out.

    Raises UserError for an unknown `split`, no folder or no audio in it, fewer than 3 files under "files", and a file
    that is silent, unreadable or, under "time" and all of a kind together under "joined", shorter than 0.3 s.
    """
    if split not in SPLITS:
        raise unknown("split of the noise", split, SPLITS)
    recordings, copies = _read_all(folder, rate_hz)
    settings = {"split": split, "seed": seed, "rate_hz": rate_hz, "copies": copies, "sha256": arrays_sha256(recordings)}
    if split != "files":
        if split == "joined":
            recordings = _joined(recordings)
        pieces = {name: _in_thirds(folder / name, samples, rate_hz) for name, samples in recordings.items()}
        sides = {side: tuple(thirds[number] for thirds in pieces.values()) for number, side in enumerate(SIDES)}
        return Noises(sides, dict.fromkeys(SIDES, tuple(pieces)), settings)
    if len(recordings) < len(SIDES):
        raise UserError(
            f"{folder}: expected at least 3 different files of noise, found {len(recordings)}. Add files, or divide "
            "each of them in time (split 'time')"
        )
    shuffled = [list(recordings)[index] for index in np.random.default_rng(seed).permutation(len(recordings))]
    names = {side: tuple(shuffled[number :: len(SIDES)]) for number, side in enumerate(SIDES)}
    return Noises({side: tuple(recordings[name] for name in names[side]) for side in SIDES}, names, settings)


def _power(waveform: np.ndarray) -> float:
    return float(np.square(waveform, dtype=np.float64).mean()) if len(waveform) else 0.0


def _stretch(recording: np.ndarray, n_samples: int, rng: np.random.Generator) -> np.ndarray:
    """Return a random stretch of a recording that is not faint, or the whole of a shorter one."""
    if len(recording) <= n_samples:
        return recording
    start = int(rng.integers(len(recording) - n_samples + 1))
    if _power(recording[start : start + n_samples]) >= _FAINT:
        return recording[start : start + n_samples]
    energy = np.concatenate([[0.0], np.cumsum(np.square(recording, dtype=np.float64))])
    starts = np.flatnonzero(energy[n_samples:] - energy[:-n_samples] >= _FAINT * n_samples)
    start = int(rng.choice(starts))  # the loudest stretch reaches half the mean power, so there is one
    return recording[start : start + n_samples]


def _crossfade(before: np.ndarray, after: np.ndarray, n_samples: int) -> np.ndarray:
    """Join two uncorrelated waveforms at constant power."""
    angle = (np.arange(n_samples, dtype=np.float32) + 0.5) / max(n_samples, 1) * np.float32(np.pi / 2)
    kept = len(before) - n_samples
    mixed = before[kept:] * np.cos(angle) + after[:n_samples] * np.sin(angle)
    return np.concatenate([before[:kept], mixed, after[n_samples:]])


def _read_all(folder: Path, rate_hz: int) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return the recordings, at unit mean square, by name, and the original of each copy."""
    recordings: dict[str, np.ndarray] = {}
    copies: dict[str, str] = {}
    first: dict[str, str] = {}
    for name, path in audio_by_name(folder, "recordings of noise").items():
        samples = read(path, rate_hz, max_seconds=_LONGEST_SECONDS, of_speech=False)
        original = first.setdefault(hashlib.sha256(samples.tobytes()).hexdigest(), name)
        if original == name:
            recordings[name] = _levelled(path, samples, "silence")
        else:
            copies[name] = original
    return recordings, copies


def _joined(recordings: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Join the recordings of each folder, by its name, at a peak of 1 each."""
    kinds: dict[str, list[np.ndarray]] = {}
    for name, samples in recordings.items():
        kinds.setdefault(Path(name).parent.as_posix(), []).append(samples / np.abs(samples).max())
    return {kind: np.concatenate(parts) for kind, parts in kinds.items()}


def _in_thirds(path: Path, recording: np.ndarray, rate_hz: int) -> tuple[np.ndarray, ...]:
    seconds = len(recording) / rate_hz
    if seconds < _LEAST_FOR_THIRDS_SECONDS:
        raise UserError(
            f"{path}: expected at least {_LEAST_FOR_THIRDS_SECONDS} s of noise to divide in time, found {seconds:.3g} "
            "s. Remove the file, or divide the files (split 'files')"
        )
    thirds = np.array_split(recording, len(SIDES))
    return tuple(_levelled(path, third, f"silence in its third for {SIDES[i]}") for i, third in enumerate(thirds))


def _levelled(path: Path, samples: np.ndarray, found: str) -> np.ndarray:
    """Scale a recording to unit mean square."""
    if np.abs(samples).max() < _INAUDIBLE:
        raise UserError(f"{path}: expected noise, found {found}. Remove the file, or cut the silence off")
    return (samples / np.sqrt(_power(samples))).astype(np.float32)
