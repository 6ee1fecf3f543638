"""The blocks of docs/from-python.md, run one after the other as they are written: they train a shipped export too."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest
import soundfile
import streams

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_guide_runs_as_it_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(("clip.wav", "other.wav")):
        soundfile.write(name, streams.speech(0.5, number), 16_000)
    session: dict = {}
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/from-python.md").read_text(), re.DOTALL)
    assert len(blocks) == 5
    for block in blocks:
        exec(block, session)
    before, after = session["model"].trainable().get_weights(), session["network"].get_weights()
    changed = [not np.array_equal(one, other) for one, other in zip(before, after, strict=True)]
    assert changed[-2:] == [True, True]  # the last layer's weights and bias were trained
    again = keras.saving.load_model("mine.keras", compile=False)
    np.testing.assert_array_equal(again.get_weights()[-1], after[-1])
