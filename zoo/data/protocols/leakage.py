"""Check that no speaker and no recording is on two sides of a fold."""

from collections.abc import Mapping
from itertools import chain

from zoo.data.overlaps import overlapping
from zoo.data.schema import Fold
from zoo.errors import UserError, shortened


def audit(fold: Fold, audio_sha256: Mapping[str, str], allow: bool = False) -> list[str]:
    """Return one sentence per kind of leak between a fold's train, validation and test sides; none when clean.

    `audio_sha256` maps `clip.name` to the hash of its samples (`scan.Probe`), for every clip of the fold. Raises
    UserError for a leak unless `allow`.
    """
    speakers: dict[str, dict[str, str]] = {}  # speaker or hash -> side -> its first clip there
    recordings: dict[str, dict[str, str]] = {}
    for side in ("train", "validation", "test"):
        for clip in getattr(fold, side):
            speakers.setdefault(clip.speaker, {}).setdefault(side, clip.name)
            recordings.setdefault(audio_sha256[clip.name], {}).setdefault(side, clip.name)
    shared_speakers = [f"{speaker} ({', '.join(sides)})" for speaker, sides in speakers.items() if len(sides) > 1]
    copies = [sides for sides in recordings.values() if len(sides) > 1]
    shared_audio = [" = ".join(f"{name} ({side})" for side, name in sides.items()) for sides in copies]
    side_of = {clip.name: side for side in ("train", "validation", "test") for clip in getattr(fold, side)}
    groups = [{clip.name: side_of[clip.name] for clip in group} for group in overlapping(chain(*fold.sides))]
    shared_moments = [
        " and ".join(f"{name} ({side})" for name, side in group.items())
        for group in groups
        if len({*group.values()}) > 1
    ]
    findings = [
        f"Fold {fold.name}: {len(shared)} of {len(every)} {what} on two sides: {shortened(shared)}."
        for what, shared, every in (
            ("speakers", shared_speakers, speakers),
            ("recordings", shared_audio, recordings),
            ("groups of overlapping segments", shared_moments, groups),
        )
        if shared
    ]
    if findings and not allow:
        raise UserError(
            f"{' '.join(findings)} Expected none. Choose a speaker-independent protocol or remove the copies; "
            "--allow-leakage continues and marks results."
        )
    return findings
