"""Measure openSMILE's descriptors and functionals on all cores against the package called clip by clip."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from bench import inputs
from bench.result import Result, median_seconds
from zoo.frontends.opensmile import clip_functionals

NAMES = {"egemaps": "eGeMAPSv02", "compare": "ComParE_2016"}


def measure(quick: bool) -> list[Result]:
    n_clips, repeats = (8, 2) if quick else (64, 5)
    waveforms = inputs.waveforms(n_clips)
    return [_of_set(name, waveforms, repeats) for name in NAMES]


def _of_set(name: str, waveforms: list[np.ndarray], repeats: int) -> Result:
    import opensmile

    level = opensmile.FeatureLevel.LowLevelDescriptors
    smile = opensmile.Smile(opensmile.FeatureSet[NAMES[name]], level)

    def reference():
        for waveform in waveforms:
            values = smile(waveform, inputs.RATE_HZ)[0]
            [f(values, axis=1) for f in (np.max, np.min, np.mean, np.std)]

    def ours():
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda waveform: clip_functionals(waveform, inputs.RATE_HZ, name, "five"), waveforms))

    seconds = median_seconds({"ours": ours, "reference": reference}, repeats)
    return Result(
        name,
        "clips/s",
        len(waveforms) / seconds["ours"],
        len(waveforms) / seconds["reference"],
        note=f"descriptors and five functionals, {os.cpu_count()} processes against one",
    )
