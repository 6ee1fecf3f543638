"""Hold which recordings a model was trained and validated on, as short hashes of their audio.

A hash is the first 64 bits of zoo.data.audio.scan.audio_sha256, of the waveform at the model's own rate: twelve bytes
of a record per clip. Among a million clips on each side, one falsely taken for another has a probability of 5e-8.
"""

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

SIDES = ("train", "validation")
_DIGITS = 16  # hexadecimal, of 64 bits


@dataclass(frozen=True)
class ClipHashes:
    """Hashes of the clips on each of `SIDES`, of audio at `rate_hz`."""

    rate_hz: int
    train: frozenset[int]
    validation: frozenset[int]

    def side_of(self, audio_sha256: str) -> str:
        """Return the side that a recording was on, the first of `SIDES`; "" where it was on none."""
        short = int(audio_sha256[:_DIGITS], 16)
        return next((side for side in SIDES if short in getattr(self, side)), "")

    def content(self) -> dict[str, Any]:
        """Return what records hold: {"rate_hz": 16000, "train": "...", "validation": "..."}, hashes in base64."""
        packed = {side: np.array(sorted(getattr(self, side)), "<u8").tobytes() for side in SIDES}
        return {"rate_hz": self.rate_hz, **{side: base64.b64encode(data).decode() for side, data in packed.items()}}


def of(train: Iterable[str], validation: Iterable[str], rate_hz: int) -> ClipHashes:
    """Return the hashes of recordings by their audio_sha256, in hexadecimal."""
    sides = [frozenset(int(one[:_DIGITS], 16) for one in side) for side in (train, validation)]
    return ClipHashes(rate_hz, *sides)


def merged(every: Iterable[ClipHashes]) -> ClipHashes:
    """Return the hashes of several folds together. Raises ValueError for none, or for audio at different rates."""
    found = list(every)
    rates = {one.rate_hz for one in found}
    if len(rates) != 1:
        raise ValueError(f"hashes of audio at the rates {sorted(rates)}, expected one rate")
    sides = [frozenset[int]().union(*(getattr(one, side) for one in found)) for side in SIDES]
    return ClipHashes(rates.pop(), *sides)


def from_content(content: Any) -> ClipHashes:
    """Read what `content` returned. Raises ValueError for anything else."""
    if not isinstance(content, Mapping) or not {"rate_hz", *SIDES} <= content.keys():
        raise ValueError(f"hashes of clips: expected rate_hz, {', '.join(SIDES)}, found {str(content)[:80]!r}")
    if type(content["rate_hz"]) is not int or content["rate_hz"] < 1:
        raise ValueError(f"hashes of clips: expected a rate_hz above 0, found {content['rate_hz']!r}")
    return ClipHashes(content["rate_hz"], *(_unpacked(content[side]) for side in SIDES))


def _unpacked(text: Any) -> frozenset[int]:
    try:
        return frozenset(np.frombuffer(base64.b64decode(text, validate=True), "<u8").tolist())
    except (TypeError, ValueError, binascii.Error) as error:
        raise ValueError(f"hashes of clips: expected base64 of 8 bytes each, found {str(text)[:80]!r}") from error
