"""Check a corpus on disk: read every file, and say of every fault what to do about it."""

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from zoo.data.audio.recording import BAD_KINDS, BadClip
from zoo.data.audio.scan import Probe, probe
from zoo.data.corpora.alignment import MAX_GAP_SECONDS, gap_seconds
from zoo.data.corpora.files import Loaded
from zoo.data.schema import Clip

CLIPPED_SHARE = 0.001
MAX_INTERVAL_GAP_SECONDS = 0.1  # between a label's interval and its audio; of a release, they agree to the millisecond
SAME_LENGTH_SHARE, LEAST_CLIPS = 0.8, 20  # from which on clips of one length are no speech as it was recorded
NEAR_SILENT_PEAK = 0.001  # -60 dB of full scale
READ_RATE_HZ = 16_000  # of the networks' waveforms
_ADVICE = {
    "low_rate": f"{{}} clip(s) have a lower sampling rate than the {READ_RATE_HZ} Hz they are read at, which has cost "
    "them their upper band. Fetch the originals.",
    "misaligned": "{} recording(s) are over a second longer or shorter than their labels. Fetch them again.",
    "wrong_length": f"{{}} clip(s) are over {MAX_INTERVAL_GAP_SECONDS:g} s longer or shorter than their labels' "
    "intervals: they are not the audio that was labelled. Fetch them again.",
    "one_length": "Clips of {} length make up the corpus: they were cut or padded, or are placeholders. Fetch the "
    "originals.",
    "duplicates": "{} recording(s) are there under several names. Keep one of each: across a split they leak.",
    "two_speakers": "{} group(s) of speakers have a recording in common: one person may have several names, and then "
    "be trained on and tested. Give each person one name.",
    "near_silent": "{} clip(s) peak below -60 dB of full scale. Listen to them, and leave them out if nothing is said.",
    "clipped": "{} clip(s) have more than 0.1 % of their samples at full scale. Fetch the originals if your copies "
    "were amplified; otherwise they are the corpus's own.",
    "missing": "{} labelled clip(s) have no audio file. Complete the copy from the corpus's archive.",
    "repeated": "{} file(s) were left out because another of the same name was taken. Remove the second copy.",
    "problems": "{} count(s) differ from the protocols'. Complete the corpus, or train with --allow-incomplete, which "
    "marks the result.",
    "surplus": "{} count(s) show more than the protocols have: this is another release, or files were added. Use "
    "the release that the protocols are defined on, or train with --allow-incomplete, which marks the result.",
}


@dataclass(frozen=True)
class Report:
    """What `check` found. Lists hold clip names, mappings go from clip names unless said otherwise."""

    clips: int
    labels: dict[str, int]  # clips by label, none where they are rated continuously
    speakers: dict[str, int]  # clips by speaker
    rates_hz: dict[int, int]  # clips by sampling rate
    seconds: dict[str, float]  # total, min, median and max of the readable clips; empty without any
    unreadable: dict[str, list[str]]  # messages by kind of `read.BAD_KINDS`
    resampled: list[str]  # a sentence per sampling rate other than the release's, by itself no finding
    misaligned: list[str]  # which labels end elsewhere than the audio
    wrong_length: list[str]  # clips beside the lengths of their labels' intervals
    one_length: list[str]  # a sentence where nearly all clips are equally long
    low_rate: dict[str, int]  # sampling rates under `READ_RATE_HZ` and the release's, in Hz
    duplicates: list[list[str]]
    near_silent: list[str]
    clipped: dict[str, float]  # share of samples, 0..1
    ignored: dict[str, int]  # files by reason
    missing: list[str]
    repeated: list[str]
    problems: list[str]
    surplus: list[str]
    two_speakers: list[str]  # which recordings are there under several speakers
    notices: list[str]  # what a loader finds odd, by itself no finding

    @property
    def advice(self) -> list[str]:
        """A sentence per kind of finding; none for a clean corpus."""
        sentences = [
            f"{len(messages)} clip(s) are unreadable ({kind}). {BAD_KINDS[kind][1]}"
            for kind, messages in self.unreadable.items()
        ]
        if sentences:
            sentences.append("To train without the unreadable clips, choose --on-bad-clip skip, which lists them.")
        found = {name: len(getattr(self, name)) for name in _ADVICE}
        return sentences + [text.format(found[name]) for name, text in _ADVICE.items() if found[name]]


def check(
    loaded: Loaded,
    *,
    rate_hz: int,
    max_seconds: float = 60.0,
    problems: Sequence[str] = (),
    surplus: Sequence[str] = (),
    on_clip: Callable[[int], object] = lambda done: None,
) -> Report:
    """Read every clip that a loader listed and return the report.

    `rate_hz` is the sampling rate of the corpus's release (0: none is known), and a clip longer than `max_seconds` is
    unreadable (both are in `registry.Corpus`). `problems` and `surplus` are differences from a protocol's counts
    (`check_counts`). `on_clip` is called after each clip with the number done.
    """
    clips = loaded.clips
    probes: dict[str, Probe] = {}
    unreadable: dict[str, list[str]] = {}
    same_audio: dict[str, list[str]] = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(partial(_probe, max_seconds=max_seconds), clips)
        for done, (clip, result) in enumerate(zip(clips, results, strict=True), start=1):
            if isinstance(result, BadClip):
                unreadable.setdefault(result.kind, []).append(str(result))
            else:
                probes[clip.name] = result
                same_audio.setdefault(result.audio_sha256, []).append(clip.name)
            on_clip(done)
    rates_hz = dict(Counter(facts.rate_hz for facts in probes.values()).most_common())
    seconds = [facts.seconds for facts in probes.values()] or [0.0]
    lengths = {"total": sum(seconds), "min": min(seconds), "median": float(np.median(seconds)), "max": max(seconds)}
    return Report(
        clips=len(clips),
        labels=dict(Counter(clip.label for clip in clips if clip.label).most_common()),
        speakers=dict(sorted(Counter(clip.speaker for clip in clips).items())),
        rates_hz=rates_hz,
        seconds=lengths if probes else {},
        unreadable=unreadable,
        resampled=[
            f"resampled copy: {found_hz} Hz where the release has {rate_hz} ({count} of {len(probes)} clips)"
            for found_hz, count in rates_hz.items()
            if rate_hz and found_hz != rate_hz
        ],
        misaligned=_misaligned(clips, probes),
        wrong_length=_wrong_length(clips, probes),
        one_length=_one_length(clips, probes),
        low_rate={n: f.rate_hz for n, f in probes.items() if f.rate_hz < min(rate_hz, READ_RATE_HZ)},
        duplicates=[names for names in same_audio.values() if len(names) > 1],
        near_silent=[name for name, facts in probes.items() if facts.peak < NEAR_SILENT_PEAK],
        clipped={n: f.clipped_share for n, f in probes.items() if f.clipped_share > CLIPPED_SHARE},
        ignored=loaded.ignored,
        missing=loaded.missing,
        repeated=loaded.duplicates,
        problems=list(problems),
        surplus=list(surplus),
        two_speakers=_two_speakers(clips, same_audio),
        notices=loaded.notices,
    )


def _two_speakers(clips: Sequence[Clip], same_audio: Mapping[str, Sequence[str]]) -> list[str]:
    """Say which speakers have recordings in common; one whom nobody named has no other name."""
    speakers = {clip.name: clip.speaker for clip in clips if "speaker" not in clip.tags}
    found: dict[tuple[str, ...], list[str]] = {}
    for names in same_audio.values():
        several = tuple(sorted({speakers[name] for name in names if name in speakers}))
        if len(several) > 1:
            found.setdefault(several, []).append(" = ".join(names))
    return [f"{' and '.join(several)}: {', '.join(pairs[:3])}" for several, pairs in found.items()]


def _probe(clip: Clip, max_seconds: float) -> Probe | BadClip:
    try:
        return probe(clip.path, max_seconds=max_seconds, segment=clip.segment)[0]
    except BadClip as bad:
        return bad


def _wrong_length(clips: Sequence[Clip], probes: Mapping[str, Probe]) -> list[str]:
    timed = [(clip.name, clip.seconds, probes[clip.name].seconds) for clip in clips if clip.name in probes]
    return [
        f"{name}: {seconds:.2f} s of audio, {interval:.2f} s by its label"
        for name, interval, seconds in timed
        if interval is not None and abs(interval - seconds) > MAX_INTERVAL_GAP_SECONDS
    ]


def _one_length(clips: Sequence[Clip], probes: Mapping[str, Probe]) -> list[str]:
    """Recordings with ratings all along, such as excerpts of songs, and segments may well be of one length."""
    whole = [clip.name for clip in clips if clip.trace is None and not clip.is_segment]
    lengths = [probes[name].seconds for name in whole if name in probes]
    if len(lengths) < LEAST_CLIPS:
        return []
    seconds, number = Counter(lengths).most_common(1)[0]
    found = f"{number} of {len(lengths)} clips last exactly {seconds:g} s"
    return [found] if number >= SAME_LENGTH_SHARE * len(lengths) else []


def _misaligned(clips: Sequence[Clip], probes: Mapping[str, Probe]) -> list[str]:
    """Loaders compare labels with the declared length, which a cut MP3 gives as if it were whole."""
    rated = [(clip.name, clip.trace) for clip in clips if clip.trace is not None and clip.name in probes]
    gaps = {name: gap_seconds(trace, probes[name].seconds) for name, trace in rated}
    return [
        f"{name}: labels that end {abs(gap):.2f} s {'after' if gap > 0 else 'before'} the audio"
        for name, gap in gaps.items()
        if abs(gap) > MAX_GAP_SECONDS
    ]
