"""Progress of long work where standard error is a file: a line every half minute, with an estimate."""

import threading
import time

import pytest

from zoo.utils import progress


@pytest.mark.parametrize(
    ("done", "total", "seconds", "words"),
    [
        (50, 200, 90.0, "clips: 50 of 200 in 1:30, about 4:30 left"),  # 1.8 s a clip, 150 are left
        (0, 7, 30.0, "clips: 0 of 7 in 0:30"),
        (1, 3, 3_000.0, "clips: 1 of 3 in 50:00, about 1:40:00 left"),
        (3, 3, 59.6, "clips: 3 of 3 in 1:00, about 0:00 left"),
    ],
)
def test_lines_by_hand(done, total, seconds, words):
    assert progress.in_words("clips", done, total, seconds) == words


def test_a_line_is_written_also_while_a_step_takes_long(monkeypatch, capsys):
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.01)
    before = threading.active_count()
    with progress.Progress() as shown, shown.task("fold 0, values of C", 4) as advance:
        advance(1)
        time.sleep(0.2)  # one step
        during = capsys.readouterr().err.splitlines()
    assert "fold 0, values of C: 1 of 4 in 0:00, about 0:0" in during[-1] and len(during) > 1
    time.sleep(0.05)
    capsys.readouterr()
    time.sleep(0.05)
    assert capsys.readouterr().err == "" and threading.active_count() == before


def test_nothing_is_written_within_half_a_minute(capsys):
    with progress.Progress() as shown, shown.task("features", 2) as advance:
        advance(2)
    assert capsys.readouterr().err == ""
