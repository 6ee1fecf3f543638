"""Pictures are read back, and the figures drawn are read off the artists; tables are read as the text printed."""

import io
import os
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.image import imread
from rich.console import Console

from zoo.errors import UserError
from zoo.metrics import classification
from zoo.reports import classification as report
from zoo.reports import continuous

CLASSES = ["neutral", "happy", "sad"]
CONFUSION = [[3, 1, 0], [2, 6, 0], [0, 0, 0]]


@pytest.fixture
def drawn(monkeypatch):
    """The figures that would be saved."""
    figures = []
    monkeypatch.setattr(report, "save_png", lambda figure, path: figures.append(figure))
    return figures


def history(validation_ua):
    return [
        {
            "epoch": epoch,
            "loss": 2 / epoch,
            "validation_loss": 3 / epoch,
            "validation_ua": ua,
            "validation_wa": 0.5,
            "learning_rate": 1e-3,
            "seconds": 1.5,
        }
        for epoch, ua in enumerate(validation_ua, start=1)
    ]


def test_confusion_cells_by_hand(drawn):
    report.plot_confusion(CONFUSION, CLASSES, "unused.png", "a title")
    (axes,) = drawn[0].axes
    assert [text.get_text() for text in axes.texts] == [
        *("75.0 %\n3", "25.0 %\n1", "0.0 %\n0"),
        *("25.0 %\n2", "75.0 %\n6", "0.0 %\n0"),
        *("–\n0", "–\n0", "–\n0"),
    ]
    assert [label.get_text() for label in axes.get_xticklabels()] == CLASSES
    assert [label.get_text() for label in axes.get_yticklabels()] == ["neutral (4)", "happy (8)", "sad (0)"]
    assert drawn[0].get_suptitle() == "a title"


def test_confusion_text_contrasts_with_its_cell(drawn):
    percent = np.arange(0, 101, 4)
    confusion = np.zeros((len(percent), len(percent)), int)
    confusion[:, 0], confusion[:, 1] = percent, 100 - percent
    report.plot_confusion(confusion, [str(row) for row in percent], "unused.png", "")
    (axes,) = drawn[0].axes
    shades = axes.images[0].to_rgba(axes.images[0].get_array())[..., :3].mean(axis=-1)
    for text in axes.texts:
        column, row = text.get_position()
        ink = {"black": 0.0, "white": 1.0}[text.get_color()]
        assert abs(shades[row, column] - ink) > 0.45


def test_confusion_of_another_size_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"\(3, 3\) does not fit"):
        report.plot_confusion(CONFUSION, ["neutral", "happy"], tmp_path / "confusion.png", "")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("validation_ua", "best"),
    [([0.3, 0.6, 0.6, 0.5], 2), ([0.3, None, float("nan"), 0.5], 4), ([0.4], 1)],
)
def test_curves_mark_the_first_best_epoch(drawn, validation_ua, best):
    rows = history(validation_ua)
    report.plot_curves(rows, "unused.png", "a title")
    losses, accuracies = drawn[0].axes
    lines = {line.get_label(): line for axes in (losses, accuracies) for line in axes.lines}
    np.testing.assert_allclose(lines["training"].get_ydata(), [row["loss"] for row in rows])
    np.testing.assert_allclose(lines["validation"].get_ydata(), [row["validation_loss"] for row in rows])
    np.testing.assert_allclose(lines["validation UA"].get_ydata(), 100 * np.array(validation_ua, float))
    star = lines[f"best epoch {best}: UA {100 * validation_ua[best - 1]:.1f} %"]
    assert list(star.get_xdata()) == [best]


def test_curves_without_any_ua_mark_nothing(drawn):
    report.plot_curves(history([None, None]), "unused.png", "")
    assert not any("best" in str(line.get_label()) for line in drawn[0].axes[1].lines)


def test_curves_of_no_epoch_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no epoch"):
        report.plot_curves([], tmp_path / "curves.png", "")


@pytest.mark.parametrize("as_path", [str, lambda path: path])
def test_pngs_are_written_over_and_nothing_else_is_left(tmp_path, as_path):
    for name in ("confusion.png", "curves.png"):
        (tmp_path / name).write_bytes(b"an old picture")
    report.plot_confusion(CONFUSION, CLASSES, as_path(tmp_path / "confusion.png"), "title")
    report.plot_curves(history([0.3, 0.5]), as_path(tmp_path / "curves.png"), "title")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["confusion.png", "curves.png"]
    for path in tmp_path.iterdir():
        pixels = imread(path)
        assert min(pixels.shape[:2]) > 300
        assert pixels[..., :3].std() > 0.05  # Not a blank page.


def test_a_failed_write_keeps_the_old_picture(tmp_path, monkeypatch):
    path = tmp_path / "confusion.png"
    path.write_bytes(b"an old picture")

    def full_disk(figure, aside, **options):
        aside.write_bytes(b"half a pict")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", full_disk)
    with pytest.raises(UserError, match=r"confusion\.png: cannot be written \(No space left on device\); free"):
        report.plot_confusion(CONFUSION, CLASSES, path, "")
    assert path.read_bytes() == b"an old picture"
    assert list(tmp_path.iterdir()) == [path]


def test_an_unwritable_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    for folder in ("file", "file/below"):
        with pytest.raises(UserError, match=f"{folder}{os.sep}curves.png"):
            report.plot_curves(history([0.3]), tmp_path / folder / "curves.png", "")


def printed(found, title="title"):
    console = Console(width=100, record=True, file=io.StringIO())
    report.print_metrics(found, title, console)
    return console.export_text()


def evaluated(speakers=("a", "b", "c", "d")):
    truth, prediction = ["neutral", "neutral", "happy", "happy"], ["neutral", "happy", "happy", "happy"]
    return classification.evaluate(truth, prediction, CLASSES, list(speakers))


def test_table_shows_figures_with_intervals():
    found = evaluated()
    found["ua"] = {"value": 0.67, "low": 0.612, "high": 0.7244}
    found["wa"] = {"value": 0.681, "low": 0.6, "high": 1.0}
    text = printed(found, "attention_fcn [x] on [bold]iemocap")
    assert "attention_fcn [x] on [bold]iemocap" in text
    assert "UA 67.0 % [61.2, 72.4]" in text
    assert "WA 68.1 % [60.0, 100.0]" in text
    assert "macro-F1 73.3 %" in text
    assert "4 clips of 4 speakers" in text
    assert "absent from the test, so not in UA: sad" in text
    rows = {cells[0]: cells[1:] for line in text.splitlines() if (cells := line.replace("│", " ").split())}
    assert rows["neutral"] == ["2", "50.0", "%", "100.0", "%", "66.7", "%"]
    assert rows["sad"] == ["0", "–", "–", "–"]
    assert "SYNTHETIC" not in text
    assert "speaker-independent" not in text


def test_one_speaker_has_no_interval():
    text = printed(evaluated("aaaa"))
    assert "one speaker" in text
    assert "UA 75.0 %   WA 75.0 %" in text


def test_synthetic_is_said_in_the_title():
    assert printed(evaluated() | {"synthetic": True}).splitlines()[0] == "SYNTHETIC DATA · title"


@pytest.mark.parametrize(
    ("marks", "said"),
    [
        ({"leakage": ["speaker a is in train and test"]}, True),
        ({"speaker_independent": False}, True),
        ({"leakage": [], "speaker_independent": True}, False),
    ],
)
def test_leakage_is_said(marks, said):
    text = printed(evaluated() | marks)
    assert ("not speaker-independent" in text) == said
    assert all(sentence in text for sentence in marks.get("leakage", ()))


def test_matplotlib_is_imported_only_to_draw():
    code = "import sys, zoo.reports.classification\nprint([n for n in ('matplotlib', 'keras') if n in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_pyplot_is_never_imported(tmp_path):
    code = (
        "import sys; from zoo.reports.classification import plot_confusion;"
        f"plot_confusion([[1]], ['a'], {str(tmp_path / 'a.png')!r}, ''); print('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_ratings_warnings_come_before_the_figures():
    score = {"value": 0.5, "low": None, "high": None}
    row = {"ccc": score, **dict.fromkeys(("mean_ccc", "pearson", "rmse", "mae", "kendall"), 0.25)}
    found = {"n_recordings": 1, "n_speakers": 1, "n_frames": 9, "dimensions": {"arousal": row}}
    console = Console(file=io.StringIO(), width=120)
    continuous.print_metrics({**found, "warnings": ["[random] weights"]}, "title", console)
    text = console.file.getvalue()
    assert text.index("title") < text.index("[random] weights") < text.index("1 recordings") < text.index("0.500")
    continuous.print_metrics(found, "title", console)  # older records have no warnings
