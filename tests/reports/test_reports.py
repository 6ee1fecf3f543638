"""Figures are read off their artists and read back from their files, tables are read as the text printed."""

import io
import subprocess
import sys
from unittest import mock

import numpy as np
import pytest
from matplotlib.image import imread
from rich.console import Console

from zoo.errors import UserError
from zoo.metrics import classification as metrics
from zoo.reports import classification, continuous, enhancement, figures
from zoo.reports.tables import print_titled, table

CLASSES = ["neutral", "happy", "sad"]
CONFUSION = {"confusion": [[3, 1, 0], [2, 6, 0], [0, 0, 0]], "classes": CLASSES}


@pytest.fixture
def drawn(monkeypatch):
    """The figures that would be saved, and their titles."""
    found = []
    for report in (classification, continuous, enhancement):
        monkeypatch.setattr(report, "save", lambda figure, path, title, about: found.append((figure, about)))
    return found


def history(validation_ua):
    return [
        {"epoch": epoch, "loss": 2 / epoch, "validation_loss": 3 / epoch, "validation_ua": ua, "validation_wa": 0.5}
        for epoch, ua in enumerate(validation_ua, start=1)
    ]


def names(lines):
    """The labels a reader sees: Matplotlib gives the others one that begins with an underscore."""
    return {label for label in lines if not label.startswith("_")}


def curves(figure):
    """The lines of all axes by their labels."""
    return {line.get_label(): line for axes in figure.axes for line in axes.lines}


def test_confusion_cells_by_hand(drawn, tmp_path):
    classification.plot(CONFUSION, [], tmp_path, "a title")
    ((figure, title),) = drawn
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts] == [
        *("75.0 %\n3", "25.0 %\n1", "0.0 %\n0"),
        *("25.0 %\n2", "75.0 %\n6", "0.0 %\n0"),
        *("–\n0", "–\n0", "–\n0"),
    ]
    assert [label.get_text() for label in axes.get_xticklabels()] == CLASSES
    assert [label.get_text() for label in axes.get_yticklabels()] == ["neutral (4)", "happy (8)", "sad (0)"]
    assert title == "a title"


def test_confusion_text_contrasts_with_its_cell(drawn, tmp_path):
    shares = np.arange(0, 101, 4)
    counts = np.zeros((len(shares), len(shares)), int)
    counts[:, 0], counts[:, 1] = shares, 100 - shares
    classification.plot({"confusion": counts, "classes": list(map(str, shares))}, [], tmp_path, "")
    (axes,) = drawn[0][0].axes
    shades = axes.images[0].to_rgba(axes.images[0].get_array())[..., :3].mean(axis=-1)
    for text in axes.texts:
        predicted, row = text.get_position()
        ink = {"black": 0.0, "white": 1.0}[text.get_color()]
        assert abs(shades[row, predicted] - ink) > 0.45


@pytest.mark.parametrize(
    ("validation_ua", "best"),
    [([0.3, 0.6, 0.6, 0.5], 2), ([0.3, None, float("nan"), 0.5], 4), ([0.4], 1), ([None, None], None)],
)
def test_curves_mark_the_first_best_epoch(drawn, tmp_path, validation_ua, best):
    rows = history(validation_ua)
    classification.plot_curves(rows, tmp_path, "a title")
    lines = curves(drawn[0][0])
    np.testing.assert_allclose(lines["training"].get_ydata(), [row["loss"] for row in rows])
    np.testing.assert_allclose(lines["validation"].get_ydata(), [row["validation_loss"] for row in rows])
    np.testing.assert_allclose(lines["UA"].get_ydata(), 100 * np.array(validation_ua, float))
    marks = {label: set(line.get_xdata()) for label, line in lines.items() if "kept" in label}
    assert marks == ({f"epoch {best}, kept: UA {100 * validation_ua[best - 1]:.1f} %": {best}} if best else {})


def test_curves_of_ratings_have_a_line_for_each_dimension_and_the_mean(drawn, tmp_path):
    rows = [
        {"epoch": 1, "loss": 0.9, "validation_ccc": 0.2, "validation_ccc_arousal": 0.3, "validation_ccc_valence": 0.1},
        {"epoch": 2, "loss": 0.8, "validation_ccc": 0.1, "validation_ccc_arousal": 0.2, "validation_ccc_valence": 0.0},
    ]
    continuous.plot_curves(rows, tmp_path, "")
    lines = curves(drawn[0][0])
    assert names(lines) == {"training", "mean", "arousal", "valence", "epoch 1, kept: mean 0.200"}
    assert list(lines["arousal"].get_ydata()) == [0.3, 0.2] and list(lines["mean"].get_ydata()) == [0.2, 0.1]


def test_curves_of_an_enhancement_are_beside_noisy_speech(drawn, tmp_path):
    rows = [
        {"epoch": n, "loss": 1 / n, "validation_mse": 2 / n, "validation_mse_noisy": 3.0, "validation_r2": n}
        for n in (1, 2)
    ]
    enhancement.plot_curves(rows, tmp_path, "")
    lines = curves(drawn[0][0])
    assert names(lines) == {"training", "validation", "validation, noisy as it is", "epoch 2, kept"}
    assert list(lines["validation"].get_ydata()) == [2, 1]
    assert list(lines["validation, noisy as it is"].get_ydata()) == [3, 3]


def test_pngs_are_written_over_and_nothing_else_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "DPI", 200)
    monkeypatch.setattr(figures, "LAYOUT", "constrained")
    for name in ("confusion.png", "curves.png"):
        (tmp_path / name).write_bytes(b"an old picture")
    classification.plot(CONFUSION, [], tmp_path, "title")
    classification.plot_curves(history([0.3, 0.5]), tmp_path / "curves.png", "title")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["confusion.png", "curves.png"]
    for path in tmp_path.iterdir():
        pixels = imread(path)
        assert min(pixels.shape[:2]) > 300
        assert pixels[..., :3].std() > 0.05  # Not a blank page.


def test_a_failed_write_keeps_the_old_picture(tmp_path, monkeypatch):
    (tmp_path / "confusion.png").write_bytes(b"an old picture")
    full_disk = mock.Mock(side_effect=OSError(28, "No space left on device"))
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", full_disk)
    with pytest.raises(UserError, match=r"confusion\.png: cannot be written \(No space left on device\); free"):
        classification.plot(CONFUSION, [], tmp_path, "")
    assert (tmp_path / "confusion.png").read_bytes() == b"an old picture"


def printed(report, found, title="title"):
    console = Console(width=120, file=io.StringIO())
    report.print_metrics(found, title, console)
    return console.file.getvalue()


def evaluated(speakers="abcd"):
    truth, prediction = ["neutral", "neutral", "happy", "happy"], ["neutral", "happy", "happy", "happy"]
    return metrics.evaluate(truth, prediction, CLASSES, list(speakers))


def test_table_shows_figures_with_intervals():
    found = evaluated()
    found["ua"] = {"value": 0.67, "low": 0.612, "high": 0.7244}
    found["wa"] = {"value": 0.681, "low": 0.6, "high": 1.0}
    text = printed(classification, found, "attention_fcn [x] on [bold]iemocap")
    assert "attention_fcn [x] on [bold]iemocap" in text
    assert "UA 67.0 % [61.2, 72.4]" in text
    assert "WA 68.1 % [60.0, 100.0]" in text
    assert "macro-F1 73.3 %" in text
    assert "4 clips of 4 speakers" in text
    assert "absent from the test, so not in UA: sad" in text
    rows = {cells[0]: cells[1:] for line in text.splitlines() if (cells := line.replace("│", " ").split())}
    assert rows["neutral"] == ["2", "50.0", "%", "100.0", "%", "66.7", "%"]
    assert rows["sad"] == ["0", "–", "–", "–"]
    assert "SYNTHETIC" not in text and "speaker-independent" not in text


def test_one_speaker_synthetic_speech_and_leakage_are_named():
    text = printed(
        classification, evaluated("aaaa") | {"synthetic": True, "leakage": ["speaker a is in train and test"]}
    )
    assert text.startswith("SYNTHETIC DATA · title\n") and "one speaker" in text
    assert "UA 75.0 %   WA 75.0 %" in text, "without intervals"
    assert "not speaker-independent" in text and "speaker a is in train and test" in text
    assert "not speaker-independent" in printed(classification, evaluated() | {"speaker_independent": False})


def test_remarks_come_before_the_figures():
    score = {"value": 0.5, "low": None, "high": None}
    row = {"ccc": score, **dict.fromkeys(("mean_ccc", "pearson", "rmse", "mae", "kendall"), 0.25)}
    found = {"n_recordings": 1, "n_speakers": 1, "n_frames": 9, "dimensions": {"arousal": row}}
    marks = {"leakage": ["speaker [a] twice"], "notes": ["dev: 1 of 9"], "bad_clips": ["x"]}
    text = printed(continuous, {**found, **marks, "warnings": ["[random] weights"]})
    said = ["title", "[random] weights", "1 recordings", "speaker [a] twice", "incomplete corpus: dev: 1 of 9"]
    places = [text.index(words) for words in (*said, "1 clips left out as unusable", "0.500")]
    assert places == sorted(places)
    assert "0.500" in printed(continuous, found), "older records have none of them"


@pytest.mark.parametrize("draw", [False, True])
def test_matplotlib_is_imported_only_to_draw_and_pyplot_never(tmp_path, draw):
    code = "import sys; from pathlib import Path; from zoo.reports import classification\n"
    if draw:
        code += f"classification.plot({{'confusion': [[1]], 'classes': ['a']}}, [], Path({str(tmp_path)!r}), '')\n"
    code += "print([name for name in ('matplotlib', 'matplotlib.pyplot', 'keras') if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found == ("['matplotlib']\n" if draw else "[]\n")


def test_titles_and_lines_that_act_on_a_terminal_are_escaped():
    console = Console(file=io.StringIO(), width=200)
    acting = "a\x1b]0;owned\x07\u202e\nb"
    print_titled(acting, [f"[bold]{acting}"], table("name", numbers=()), console)
    assert console.file.getvalue().count(r"a\x1b]0;owned\x07\u202e\nb") == 2
    assert not {"\x1b", "\x07", "\u202e"} & set(console.file.getvalue())
