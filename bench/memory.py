"""Measure the peak memory of training on a corpus and on one a hundred times as large.

The large corpus is the small one's features under a hundred names each, and everything is trained on: zoo.training.fit
as a user's run calls it, two epochs, with a network so small that its own memory hides nothing. Clips are long and
crops short, so that a pipeline which kept what it read would be seen: half a gigabyte.
"""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile

from bench import inputs
from bench.processes import in_own_process, peak_mib
from bench.result import Result
from zoo.data.schema import Clip

CLIP_SECONDS = 10


def measure(quick: bool) -> list[Result]:
    n_clips, times = (16, 3) if quick else (32, 100)
    small = in_own_process(_peak_mib, n_clips, 1)
    large = in_own_process(_peak_mib, n_clips, times)
    note = f"peak resident memory, 2 epochs on {n_clips * times:,} clips of {CLIP_SECONDS} s; reference: on {n_clips}"
    return [Result("memory", "MiB", large, small, target=1.2, bound="at most", note=note)]


def _peak_mib(n_clips: int, times: int) -> float:
    from zoo.config import flags
    from zoo.frontends.log_mel import LogMel
    from zoo.training.fit import fit
    from zoo.training.tasks.base import FoldData
    from zoo.utils.progress import Progress

    tiny = {"recurrent_layers": 1, "recurrent_units": 8, "hidden_units": 8}
    settings = {"model": "attention_lstm", "option": tiny, "epochs": 2, "batch_size": 16, "crop_seconds": 1.0}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        clips = _long_clips(inputs.clips(n_clips), folder)
        small = inputs.examples(clips, folder)
        classes = sorted({clip.label for clip in clips})
        task = FoldData(
            "of the memory bench", folder, classes, _under_names(small, times), small, LogMel(inputs.RATE_HZ)
        )
        fit(task, flags.from_flags(settings), Progress())
    return peak_mib()


def _long_clips(clips: Sequence[Clip], folder: Path) -> list[Clip]:
    """Write each clip over and over up to CLIP_SECONDS."""
    n_samples = CLIP_SECONDS * inputs.RATE_HZ
    long = [replace(clip, path=folder / f"{clip.name}.wav") for clip in clips]
    for clip, waveform in zip(long, inputs.waveforms(len(clips)), strict=True):
        soundfile.write(clip.path, np.resize(waveform, n_samples), inputs.RATE_HZ)
    return long


def _under_names(examples: Sequence, times: int) -> list:
    """Return the examples so many times, each with a file of its own name."""
    many = []
    for number in range(times):
        for example in examples:
            path = example.features.path.with_name(f"{example.features.path.stem}-{number}.npy")
            os.link(example.features.path, path)
            many.append(replace(example, features=replace(example.features, path=path)))
    return many
