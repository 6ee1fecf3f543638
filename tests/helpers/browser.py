"""Start `ser web` and Chromium for tests, or skip them with the reason, or fail where CI must have both."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile

from zoo.data.synthetic.voice import draw_speaker, utterance

MUST_RUN = "BROWSER_TESTS"  # set by .ci/run: then nothing is skipped
RATE_HZ = 16_000
PATIENCE_MS = 60_000
PAUSE_SECONDS, SENTENCE_SECONDS = 2.0, 1.6  # the detector of speech parts sentences at such pauses


def chromium_or_skip() -> str:
    """Return the path of Chromium. Skips where it or what drives it is absent, and fails there if `MUST_RUN` is set."""
    path, absent = shutil.which("chromium") or shutil.which("chromium-browser"), []
    if path is None:
        absent.append("Chromium (apt-get install chromium)")
    for name in ("playwright", "starlette", "uvicorn"):
        try:
            __import__(name)
        except ImportError:
            absent.append(f"{name} (pip install -e '.[dev,web]')")
    if absent:
        reason = f"browser tests need {' and '.join(absent)}"
        if os.environ.get(MUST_RUN):
            pytest.fail(f"{reason}; {MUST_RUN} is set, so they may not be skipped")
        pytest.skip(reason)
    assert path is not None
    return path


@contextmanager
def web(folder: Path, *options: str) -> Iterator[str]:
    """Run `ser web` on a free port; yield the address that it prints."""
    words = [sys.executable, "-m", "zoo.commands.ser", "web", "--data", str(folder), "--port", "0", *options]
    errors = folder.with_suffix(".log")
    with errors.open("w") as log:
        server = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert server.stdout is not None
        line = server.stdout.readline()
        found = re.match(r"open (http://\S+)", line)
        assert found, f"{line}{errors.read_text()}"
        yield found[1]
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(30)
        assert server.stdout is not None
        server.stdout.close()


def interview(path: Path, emotions: tuple[str, ...], seed: int) -> Path:
    """Write a recording of a synthetic man who says a sentence in each emotion, each after `PAUSE_SECONDS`."""
    rng = np.random.default_rng(seed)
    speaker, pause = draw_speaker("M", rng), 1e-4 * rng.standard_normal(round(PAUSE_SECONDS * RATE_HZ))
    spoken = [utterance(emotion, speaker, SENTENCE_SECONDS, rng, RATE_HZ) for emotion in emotions]
    parts = [part for sentence in spoken for part in (pause, sentence)]
    soundfile.write(path, np.concatenate([*parts, pause]).astype(np.float32), RATE_HZ)
    return path
