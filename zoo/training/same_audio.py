"""Check that recordings are still those that a run took its features from: training takes hours."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from zoo.data.audio.scan import probe
from zoo.data.schema import Clip
from zoo.errors import UserError
from zoo.features.extractor import Extractor


def check_files(clips: Sequence[Clip], features: Mapping[str, Any], extractor: Extractor, max_seconds: float) -> None:
    """Read every clip's file again, and check it as `check` does. Raises BadClip where it can no longer be used."""
    facts = partial(probe, rate_hz=extractor.rate_hz, min_seconds=extractor.least_seconds, max_seconds=max_seconds)
    with ThreadPoolExecutor(max_workers=2) as pool:
        hashes = pool.map(lambda clip: facts(clip.path, segment=clip.segment)[0].audio_sha256, clips)
        for clip, now in zip(clips, hashes, strict=True):
            check(clip, features, now)


def check(clip: Clip, features: Mapping[str, Any], audio_sha256: str) -> None:
    """Raise UserError unless `audio_sha256`, of a clip's audio now, is that of the audio `features` were taken from."""
    before = features[clip.name].audio_sha256
    if audio_sha256 != before:
        raise UserError(
            f"{clip.path}: expected the audio this run took the clip's features from (SHA-256 {before[:12]}...), found "
            f"another ({audio_sha256[:12]}...). Put the file back and add --resume, or train anew with another --out"
        )
