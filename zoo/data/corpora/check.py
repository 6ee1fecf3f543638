"""The health of a corpus on disk: every file is read, and every finding comes with what to do about it."""

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from zoo.data.audio.read import BAD_KINDS, BadClip
from zoo.data.audio.scan import Probe, probe
from zoo.data.corpora.alignment import MAX_GAP_SECONDS, gap_seconds
from zoo.data.corpora.files import Loaded
from zoo.data.schema import Clip

CLIPPED_SHARE = 0.001
NEAR_SILENT_PEAK = 0.001  # -60 dB of full scale
READ_RATE_HZ = 16_000  # of the networks' waveforms
_ADVICE = {
    "low_rate": f"{{}} clip(s) have a lower sampling rate than the {READ_RATE_HZ} Hz they are read at, which has cost "
    "them their upper band. Fetch the originals.",
    "misaligned": "{} recording(s) are over a second longer or shorter than their labels. Fetch them again.",
    "duplicates": "{} recording(s) are there under several names. Keep one of each: across a split they leak.",
    "near_silent": "{} clip(s) peak below -60 dB of full scale. Listen to them, and leave them out if nothing is said.",
    "clipped": "{} clip(s) have more than 0.1 % of their samples at full scale. Fetch the originals if your copies "
    "were amplified; otherwise they are the corpus's own.",
    "missing": "{} labelled clip(s) have no audio file. Complete the copy from the corpus's archive.",
    "repeated": "{} file(s) were left out because another of the same name was taken. Remove the second copy.",
    "problems": "{} count(s) differ from the protocols'. Complete the corpus, or train with --allow-incomplete, which "
    "marks the result.",
}


@dataclass(frozen=True)
class Report:
    """What `check` found. Lists hold clip names, mappings go from clip names unless said otherwise.

    `labels` (none for clips rated continuously), `speakers` and `rates_hz` count clips; `seconds` has total, min,
    median and max of the readable clips and is empty without any. `unreadable` goes from a kind of `read.BAD_KINDS` to
    the messages. `resampled` says once per sampling rate other than the release's how many clips have it; that alone is
    no finding, unless the rate is lower than `READ_RATE_HZ` (`low_rate`, in Hz). `misaligned` says which labels end
    elsewhere than the audio. `clipped` holds the share of samples, 0..1. `advice` has one sentence per kind of finding
    and is empty for a clean corpus.
    """

    clips: int
    labels: dict[str, int]
    speakers: dict[str, int]
    rates_hz: dict[int, int]
    seconds: dict[str, float]
    unreadable: dict[str, list[str]]
    resampled: list[str]
    misaligned: list[str]
    low_rate: dict[str, int]
    duplicates: list[list[str]]
    near_silent: list[str]
    clipped: dict[str, float]
    ignored: dict[str, int]
    missing: list[str]
    repeated: list[str]
    problems: list[str]
    advice: list[str]


def check(
    loaded: Loaded,
    *,
    rate_hz: int,
    max_seconds: float = 60.0,
    problems: Sequence[str] = (),
    on_clip: Callable[[], object] = lambda: None,
) -> Report:
    """Read every clip that a loader listed and return the report.

    `rate_hz` is the sampling rate of the corpus's release, and a clip longer than `max_seconds` is unreadable (both are
    in `registry.Corpus`). `problems` are differences from a protocol's counts (`lookup.count_problems`). `on_clip` is
    called after each clip.
    """
    clips = loaded.clips
    probes: dict[str, Probe] = {}
    unreadable: dict[str, list[str]] = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for clip, result in zip(clips, pool.map(partial(_probe, max_seconds=max_seconds), clips), strict=True):
            if isinstance(result, BadClip):
                unreadable.setdefault(result.kind, []).append(str(result))
            else:
                probes[clip.name] = result
            on_clip()
    same_audio: dict[str, list[str]] = {}
    for name, facts in probes.items():
        same_audio.setdefault(facts.audio_sha256, []).append(name)
    findings: dict = {
        "unreadable": unreadable,
        "low_rate": {n: f.rate_hz for n, f in probes.items() if f.rate_hz < min(rate_hz, READ_RATE_HZ)},
        "misaligned": _misaligned(clips, probes),
        "duplicates": [names for names in same_audio.values() if len(names) > 1],
        "near_silent": [name for name, facts in probes.items() if facts.peak < NEAR_SILENT_PEAK],
        "clipped": {n: f.clipped_share for n, f in probes.items() if f.clipped_share > CLIPPED_SHARE},
        "missing": loaded.missing,
        "repeated": loaded.duplicates,
        "problems": list(problems),
    }
    rates_hz = dict(Counter(facts.rate_hz for facts in probes.values()).most_common())
    return Report(
        clips=len(clips),
        labels=dict(Counter(clip.label for clip in clips if clip.label).most_common()),
        speakers=dict(sorted(Counter(clip.speaker for clip in clips).items())),
        rates_hz=rates_hz,
        seconds=_durations([facts.seconds for facts in probes.values()]),
        resampled=[
            f"resampled copy: {found_hz} Hz where the release has {rate_hz} ({count} of {len(probes)} clips)"
            for found_hz, count in rates_hz.items()
            if found_hz != rate_hz
        ],
        ignored=loaded.ignored,
        advice=_advice(findings),
        **findings,
    )


def _probe(clip: Clip, max_seconds: float) -> Probe | BadClip:
    try:
        return probe(clip.path, max_seconds=max_seconds)[0]
    except BadClip as bad:
        return bad


def _misaligned(clips: Sequence[Clip], probes: Mapping[str, Probe]) -> list[str]:
    """Loaders compare labels with the declared length, which a cut MP3 gives as if it were whole."""
    rated = [(clip.name, clip.trace) for clip in clips if clip.trace is not None and clip.name in probes]
    gaps = {name: gap_seconds(trace, probes[name].seconds) for name, trace in rated}
    return [
        f"{name}: labels that end {abs(gap):.2f} s {'after' if gap > 0 else 'before'} the audio"
        for name, gap in gaps.items()
        if abs(gap) > MAX_GAP_SECONDS
    ]


def _durations(seconds: list[float]) -> dict[str, float]:
    if not seconds:
        return {}
    median = float(np.median(seconds))
    return {"total": float(sum(seconds)), "min": min(seconds), "median": median, "max": max(seconds)}


def _advice(findings: Mapping) -> list[str]:
    sentences = [
        f"{len(messages)} clip(s) are unreadable ({kind}). {BAD_KINDS[kind][1]}"
        for kind, messages in findings["unreadable"].items()
    ]
    if findings["unreadable"]:
        sentences.append("To train without the unreadable clips, choose --on-bad-clip skip, which lists them.")
    return sentences + [text.format(len(findings[name])) for name, text in _ADVICE.items() if findings[name]]
