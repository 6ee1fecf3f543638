"""The audit that keeps a fold's test side unseen: no speaker and no recording on two sides."""

from collections.abc import Mapping

from zoo.data.schema import Clip, Fold
from zoo.errors import UserError

_SIDES = ("train", "validation", "test")
_NAMED = 5


def audit(fold: Fold, audio_sha256: Mapping[str, str], allow: bool = False) -> list[str]:
    """Returns one sentence per kind of leak between a fold's train, validation and test sides; none when clean.

    `audio_sha256` maps `clip.name` to the hash of its samples (`scan.Probe`), for every clip of the fold. Raises
    UserError for a leak unless `allow`.
    """
    speakers: dict[str, dict[str, list[Clip]]] = {}
    recordings: dict[str, dict[str, list[Clip]]] = {}
    for side in _SIDES:
        for clip in getattr(fold, side):
            speakers.setdefault(clip.speaker, {}).setdefault(side, []).append(clip)
            recordings.setdefault(audio_sha256[clip.name], {}).setdefault(side, []).append(clip)
    shared_speakers = [f"{speaker} ({', '.join(sides)})" for speaker, sides in speakers.items() if len(sides) > 1]
    shared_audio = [
        " = ".join(f"{clips[0].name} ({side})" for side, clips in sides.items())
        for sides in recordings.values()
        if len(sides) > 1
    ]
    findings = []
    if shared_speakers:
        findings.append(_sentence(fold, f"{len(shared_speakers)} of {len(speakers)} speakers", shared_speakers))
    if shared_audio:
        findings.append(_sentence(fold, f"{len(shared_audio)} of {len(recordings)} recordings", shared_audio))
    if findings and not allow:
        raise UserError(
            f"{' '.join(findings)} Expected none: a score on seen speakers or clips says nothing about new ones. "
            "Choose a speaker-independent protocol or remove the copies; --allow-leakage continues and marks every "
            "result."
        )
    return findings


def _sentence(fold: Fold, count: str, shared: list[str]) -> str:
    more = f" and {len(shared) - _NAMED} more" if len(shared) > _NAMED else ""
    return f"Fold {fold.name}: {count} on two sides: {', '.join(shared[:_NAMED])}{more}."
