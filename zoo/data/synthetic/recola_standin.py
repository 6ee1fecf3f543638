"""Make a stand-in for RECOLA of RAVDESS: utterances of one actor in a row, rated by the acted emotion.

It lets networks for continuous ratings be tried on real speech without RECOLA's licence. It does not replace RECOLA:
the speech is acted, and an utterance has one label. Figures on it are comparable with each other only.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator

from zoo.data.audio.read import read
from zoo.data.corpora import ravdess
from zoo.data.corpora.recola import PARTS, STEP_SECONDS
from zoo.data.schema import Clip
from zoo.data.synthetic.rated_corpora import complete_folder, write_avec
from zoo.errors import UserError
from zoo.utils.json_files import read_json

RATE_HZ = 16_000
DESCRIPTION = "stand-in.json"
# Arousal and valence of an emotion acted strongly: its place on the circle of affect, each in -1..1.
AFFECT = {
    "neutral": (0.0, 0.0),
    "calm": (-0.5, 0.3),
    "happy": (0.6, 0.8),
    "sad": (-0.6, -0.6),
    "angry": (0.8, -0.7),
    "fearful": (0.7, -0.6),
    "disgust": (0.3, -0.7),
    "surprised": (0.8, 0.3),
}
_SAYS = {"stand_in_for": str, "made_from": str}  # what records keep of DESCRIPTION
_NORMAL = 0.6  # of these, at the normal intensity
_SMOOTHING_SECONDS = 2.0
_NAMES = [f"{part}_{number + 1}" for part in ("train", "dev") for number in range(len(PARTS[part]))]


def write_standin(root: Path, out: Path, seconds: float = 200.0, delay_seconds: float = 0.0) -> str:
    """Write 18 recordings train_1 ... dev_9 of the first 18 actors of RAVDESS at `root`, in AVEC 2016's layout.

    Each is `seconds` of an actor's speech in an order drawn anew whenever it runs out, with a rating every 0.04 s, late
    by `delay_seconds`. The same clips and arguments give the same bytes. `out`, complete or not at all, also states how
    it was made, in stand-in.json. Returns the SHA-256 of all its audio and labels.

    Raises UserError for fewer than 18 actors, seconds below a rating's, a delay that is negative or as long as a
    recording, or an `out` that holds anything; BadClip for a clip that cannot be used.
    """
    clips = [clip for clip in ravdess.load(root).clips if clip.tags["channel"] == "speech"]
    actors = sorted({clip.speaker for clip in clips})
    if len(actors) < len(_NAMES):
        raise UserError(f"{root}: expected speech of {len(_NAMES)} actors, found {len(actors)}. Add the others")
    if not (STEP_SECONDS <= seconds < float("inf") and 0 <= delay_seconds < seconds):
        found = f"{seconds:g} s with a delay of {delay_seconds:g} s"
        raise UserError(f"expected recordings of at least {STEP_SECONDS} s and a shorter delay, found {found}")
    with complete_folder(out) as folder:
        for index, (name, actor) in enumerate(zip(_NAMES, actors[: len(_NAMES)], strict=True)):
            own = [clip for clip in clips if clip.speaker == actor]
            samples, values = _recording(own, round(seconds * RATE_HZ), np.random.default_rng(index))
            lag = round(delay_seconds / STEP_SECONDS)
            values = np.concatenate([np.repeat(values[:1], lag, axis=0), values[: len(values) - lag]])
            write_avec(folder, name, samples, RATE_HZ, values)
        sha256 = _folder_sha256(folder)
        made: dict[str, Any] = {"stand_in_for": "RECOLA", "made_from": "RAVDESS, speech"}
        made["actors"] = actors[: len(_NAMES)]
        made |= {"seconds": seconds, "delay_seconds": delay_seconds, "sha256": sha256}
        (folder / DESCRIPTION).write_text(json.dumps(made, indent=1) + "\n")
    return sha256


def origin(root: Path) -> dict[str, str]:
    """Return what the folder of a stand-in is, {"stand_in_for": "RECOLA", "made_from": "RAVDESS, speech"}; else {}.

    Its layout is that of RECOLA: nothing else says that it is another corpus. Raises UserError for a damaged file.
    """
    path = root / DESCRIPTION
    if not path.is_file():
        return {}
    made = read_json(path, "what a stand-in is made of", _SAYS, "Make the stand-in again (make_recola_standin.py)")
    return {name: made[name] for name in _SAYS}


def _recording(clips: Sequence[Clip], n_samples: int, rng: Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return samples (n_samples,) and their smoothed ratings (steps, 2)."""
    order, waveforms, length = _shuffled_again_and_again(clips, rng), [], 0
    labels, ends = [], []
    while length < n_samples:
        clip = next(order)
        waveforms.append(read(clip.path, RATE_HZ))
        length += len(waveforms[-1])
        strong = clip.name.split("-")[3] == "02"
        labels.append((1.0 if strong else _NORMAL) * np.array(AFFECT[clip.label]))
        ends.append(length)
    hop = round(RATE_HZ * STEP_SECONDS)
    middles = np.arange(hop // 2, n_samples, hop)
    values = np.array(labels)[np.searchsorted(ends, middles, side="right")]
    return np.concatenate(waveforms)[:n_samples], _smoothed(values)


def _shuffled_again_and_again(clips: Sequence[Clip], rng: Generator) -> Iterator[Clip]:
    order = list(clips)
    while True:
        rng.shuffle(order)
        yield from order


def _smoothed(values: np.ndarray) -> np.ndarray:
    """Average (steps, 2) under a Hann window; the first and last values go on beyond the ends."""
    n_steps = round(_SMOOTHING_SECONDS / STEP_SECONDS)
    window = np.hanning(n_steps + 2)[1:-1]
    window /= window.sum()
    padded = np.pad(values, ((n_steps // 2, n_steps // 2), (0, 0)), mode="edge")
    return np.stack([np.convolve(track, window, mode="valid") for track in padded.T], axis=1)[: len(values)]


def _folder_sha256(folder: Path) -> str:
    """Return the hash of the paths and bytes of all files below a folder, in the order of their paths."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        digest.update(path.read_bytes())
    return digest.hexdigest()
