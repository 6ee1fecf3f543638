"""What figures say and how large they say it, read from Matplotlib's objects and from the files."""

import re

import numpy as np
import pytest

from tuning.results import figures as of_search
from tuning.results.importance import _possible
from tuning.trials import Trial
from zoo.learning.raters.records import raters_figure
from zoo.learning.transfer.report import transfer_figure
from zoo.reports import classification, confidence, confusions, continuous, enhancement, figures, style
from zoo.studies import ablation_report, by_speakers_report, cross_corpus_report, robustness_report

CLASSES = ["neutral", "happy", "sad"]
HISTORY = [
    {"epoch": n, "loss": 2 / n, "validation_loss": 3 / n, "validation_ua": ua, "validation_wa": 0.5}
    for n, ua in enumerate((0.3, 0.6, 0.4), start=1)
]
RATED = [
    {"epoch": n, "loss": 1 / n, "validation_ccc": 0.1 * n, "validation_ccc_arousal": 0.2, "validation_ccc_valence": 0.1}
    for n in (1, 2)
]
CLEANED = [
    {"epoch": n, "loss": 1 / n, "validation_mse": 2 / n, "validation_mse_noisy": 3.0, "validation_r2": n}
    for n in (1, 2)
]


def score(value, width=0.05):
    return {"value": value, "low": value - width, "high": value + width, "change": 0.0}


def trial(n, value, **values):
    return Trial(f"{n:04d}", values, status="completed", score=value)


SPACE = {
    "learning_rate": {"low": 1e-5, "high": 1e-2, "sampling": "log"},
    "option.dropout": {"low": 0.1, "high": 0.5},
    "option.filters": [[8, 16], [128, 256, 512, 1024]],
    "hop_ms": [5.0, 12.345678901234567],
}
TRIALS = [
    trial(
        1,
        0.512345678901234,
        **{
            **dict.fromkeys(SPACE),
            "learning_rate": 1.2345678901234567e-05,
            "hop_ms": 5.0,
            "option.dropout": 0.123456789012345,
            "option.filters": [8, 16],
        },
    ),
    trial(
        2,
        0.7,
        **{
            "learning_rate": 1e-3,
            "hop_ms": 12.345678901234567,
            "option.dropout": 0.3,
            "option.filters": [128, 256, 512, 1024],
        },
    ),
]
SHARES = [
    {"parameter": "option.dropout", "importance": 0.61, "with_interactions": 0.7},
    {"parameter": "hop_ms", "importance": 0.0, "with_interactions": 0.02},
]
NOISY = {
    "settings": {"by_noise": False, "rooms": {}, "microphones": {}, "snr_db": [0.0, 10.0]},
    "conditions": [
        {
            "noise": noise,
            "room": room,
            "microphone": None,
            "snr_db": snr,
            "figures": {"ua": score(ua), "wa": score(0.5)},
        }
        for noise, room, snr, ua in ((None, None, None, 0.6), (None, "hall", 0.0, 0.3), ("a_b.wav", "hall", 10.0, 0.45))
    ],
}
RATINGS = {
    "settings": {"snr_db": [5.0]},
    "conditions": [{"figures": {"ccc_arousal": score(value)}} for value in (0.5, 0.3)],
}
MEASURES = {
    "error_model": {
        "figures": {"auroc": {"value": 0.7}, "ece": {"value": 0.1}},
        "risk_coverage": [(0.5, 0.2), (1.0, 0.4)],
        "reliability": [{"n": 3, "confidence": 0.4, "accuracy": 0.5}, {"n": 0, "confidence": None, "accuracy": None}],
    }
}
SPEAKERS = {
    "speakers": [2, 4],
    "ua": [score(0.3), score(0.4)],
    "extrapolated": {"speakers": 8, "ua": score(0.5)},
    "power_law": {"a": 0.9, "b": 0.3},
    "scored": "validation",
}
CELLS = [
    {"trained_on": one, "tested_on": other, "normalized": False, "ua": score(0.5)} for one in "ab" for other in "ab"
]
VOTES = [
    {"rule": "number", "level": n, "votes": score(n), "further": score(0.5), "intended": score(0.45)} for n in (1, 2, 3)
]
TRANSFER = {
    "titles": {"nothing": "", "source-adapted": ""},
    "classes": CLASSES,
    "figures": [
        {"method": method, "labelled_clips": n, "ua": 0.4, "low": 0.3, "high": 0.45}
        for method in ("nothing", "source-adapted")
        for n in (10, 100)
    ],
}
CONFUSIONS = {"groups": {"all": {"all": [[3, 1, 0], [2, 6, 0], [0, 0, 0]]}}, "classes": CLASSES}
ROWS = [
    {"clip": "dev_1", "time": t, "truth_arousal": 0.1, "arousal": 0.2, "postprocessed_arousal": ""} for t in range(3)
]
SYSTEMS = {system: {"ccc": {"value": 0.5}, "mse": {"value": 0.4}} for system in ("noisy", "enhanced")}
ENHANCED = {
    "by_snr": {"0": SYSTEMS, "10": SYSTEMS},
    "pooled": {system: {"coefficients": {"0": {"ccc": 0.1, "mse": 1.0}}} for system in SYSTEMS},
}
CURVES = [of_search.Curve("0001", "validation_ua", np.array([0.2, 0.3, 0.5]), 2)]
DIFFERENCES = [
    {"variant": "without speed", "against": against, "difference": -0.02}
    for against in (ablation_report.RECIPE, ablation_report.PLAIN)
]

# Each figure with a pattern of every axes' labels, x and y.
DRAWN = {
    "confusion": (
        lambda: classification.confusion_figure({"confusion": np.eye(3, dtype=int), "classes": CLASSES}),
        [("Predicted class", r"True class \(number of clips\)")],
    ),
    "curves": (
        lambda: classification.curves_figure(HISTORY),
        [("", "Loss"), ("Epoch", r"Accuracy, validation clips \(%\)")],
    ),
    "curves of ratings": (
        lambda: continuous.curves_figure(RATED),
        [("", "Loss"), ("Epoch", "CCC, validation recordings")],
    ),
    "curves of enhancement": (lambda: enhancement.curves_figure(CLEANED), [("Epoch", "MSE of standardised MFCCs")]),
    "traces": (
        lambda: continuous.traces_figure({"dimensions": ["arousal"]}, ROWS),
        [(r"Time \(s\)", "dev_1\narousal")],
    ),
    "enhancement": (
        lambda: enhancement.enhancement_figure(ENHANCED),
        [
            ("", "CCC with clean speech"),
            ("", ""),
            ("Number of the MFCC", r"MSE \(variances of clean speech\)"),
            (r"Signal-to-noise ratio \(dB\)", ""),
        ],
    ),
    "risk": (
        lambda: confidence.risk_coverage_figure({"measures": MEASURES}),
        [(r"Coverage: clips answered \(%\)", r"Risk: wrong answers \(%\)")],
    ),
    "reliability": (
        lambda: confidence.reliability_figure({"measures": MEASURES}),
        [(r"Mean confidence \(%\)", r"Right answers \(%\)")],
    ),
    "confusions": (lambda: confusions.confusions_figure(CONFUSIONS), [("Predicted class", "True class.*")]),
    "robustness": (
        lambda: robustness_report.curve_figure(NOISY),
        [(r"Signal-to-noise ratio \(dB\)", r"UA and WA, test clips \(%\)")],
    ),
    "robustness of ratings": (
        lambda: robustness_report.curve_figure(RATINGS),
        [(r"Signal-to-noise ratio \(dB\)", "CCC, test recordings")],
    ),
    "noises": (lambda: robustness_report.noises_figure(NOISY), [(r"UA \(%\)", ""), (r"WA \(%\)", "")]),
    "rooms": (lambda: robustness_report.heatmap_figure(NOISY), 2 * [("Signal-to-noise ratio", "")]),
    "speakers": (
        lambda: by_speakers_report.curve_figure(SPEAKERS),
        [("Training speakers", r"UA, validation speakers \(%\)")],
    ),
    "ablation": (
        lambda: ablation_report.differences_figure(DIFFERENCES),
        2 * [(r"Change of UA \(percentage points\)", "")],
    ),
    "corpora": (
        lambda: cross_corpus_report.matrix_figure({"cells": CELLS, "corpora": ["a", "b"], "classes": CLASSES}),
        [("Tested on", "Trained on"), ("", r"UA \(%\), from chance up")],
    ),
    "raters": (lambda: raters_figure({"how_many": VOTES, "whom": []}), None),
    "transfer": (lambda: transfer_figure(TRANSFER), [("Labelled clips of the new corpus", r"UA, test clips \(%\)")]),
    "importance": (lambda: of_search.importance_figure(SHARES), [(r"Share of the score's variance \(%\)", "")]),
    "parallel": (lambda: of_search.parallel_figure(SPACE, TRIALS, TRIALS[1]), None),
    "search": (
        lambda: of_search.learning_figure(CURVES, TRIALS[0]),
        [("Epoch", r"Validation UA \(0 to 1\), mean of inner folds")],
    ),
}


def shown(figure):
    """All texts a reader sees, after the layout."""
    from matplotlib.text import Text

    return [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]


@pytest.mark.parametrize("name", DRAWN)
def test_axes_are_named_and_letters_are_readable_where_figures_are_printed(name):
    draw, labels = DRAWN[name]
    figure = draw()
    figures.finish(figure, "A title in words", "network (recipe) on a_corpus")
    assert figure.get_figwidth() in (style.COLUMN_INCHES, style.PAGE_INCHES)
    if labels:
        found = [(axes.get_xlabel(), axes.get_ylabel()) for axes in figure.axes]
        assert len(found) == len(labels)
        for (x, y), (wanted_x, wanted_y) in zip(found, labels, strict=True):
            assert re.fullmatch(wanted_x, x) and re.fullmatch(wanted_y, y), (x, y)
    for text in shown(figure):
        assert text.get_fontsize() >= style.SMALL_POINTS, text
        assert not re.search(r"[1-9]\d*\.\d{4}|0\.0*[1-9]\d{3}|\$", text.get_text()), text
        assert "validation_" not in text.get_text() and "option." not in text.get_text()


def test_colours_differ_for_the_colour_blind_as_well():
    """By Viénot et al. (1999): how a person without red or green cones sees linear RGB; and by lightness alone."""
    from matplotlib.colors import to_rgb

    linear = np.array(
        [
            [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
            for colour in style.COLOURS
        ]
    )
    lms = np.array([[17.8824, 43.5161, 4.11935], [3.45565, 27.1554, 3.86714], [0.0299566, 0.184309, 1.46709]])
    protan = np.array([[0, 2.02344, -2.52581], [0, 1, 0], [0, 0, 1]])
    deutan = np.array([[1, 0, 0], [0.494207, 0, 1.24827], [0, 0, 1]])
    for kind in (np.eye(3), protan, deutan):
        seen = np.clip(linear @ (np.linalg.inv(lms) @ kind @ lms).T, 0, 1) ** (1 / 2.4)
        distances = np.linalg.norm(seen[:, None] - seen[None], axis=-1)[np.triu_indices(len(seen), 1)]
        assert distances.min() > 0.12


@pytest.mark.usefixtures("all_formats")
def test_figures_are_saved_as_png_svg_and_pdf_and_the_same_each_time(tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "LAYOUT", "constrained")
    about = "a$b$c_d \x1b[31m on 50 % <b>&amp;"
    for folder in ("one", "two"):
        classification.plot_curves(HISTORY, tmp_path / folder / "curves.png", about, 2)
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == ["curves.pdf", "curves.png", "curves.svg"]
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
    text = (tmp_path / "one" / "curves.svg").read_text()
    for words in ("Learning curves", "Epoch", "Accuracy, validation clips (%)", "epoch 2, kept: UA 60.0 %"):
        assert f">{words}</text>" in text
    assert ">a$b$c_d \\x1b[31m on 50 % &lt;b&gt;&amp;amp;</text>" in text and "\x1b" not in text
    pdf = (tmp_path / "one" / "curves.pdf").read_bytes()
    assert pdf.startswith(b"%PDF") and b"/Type3" not in pdf and b"/FontFile2" in pdf


def test_svg_for_a_page_is_the_element_alone():
    text = figures.svg(classification.curves_figure(HISTORY), "Learning curves")
    assert text.startswith("<svg") and text.rstrip().endswith("</svg>") and ">Learning curves</text>" in text
    assert "<title>Learning curves</title>" in text, "for programs that read pages aloud"


def test_the_marked_epoch_is_the_one_that_is_kept_not_the_best():
    lines = [line for axes in classification.curves_figure(HISTORY, kept=3).axes for line in axes.lines]
    marks = [line for line in lines if list(line.get_xdata()) == [3, 3]]
    assert len(marks) == 2 and marks[1].get_label() == "epoch 3, kept: UA 40.0 %"
    assert list(lines[0].get_xdata()) == [row["epoch"] for row in HISTORY]


def test_many_classes_have_whole_percent_and_long_or_acting_names_are_short():
    names = [f"class number {n} with a name that is far too long" for n in range(12)] + ["\x1b[31m$x$"]
    figure = classification.confusion_figure({"confusion": 3 * np.eye(13, dtype=int), "classes": names})
    (axes,) = figure.axes
    assert axes.texts[0].get_text() == "100" and axes.texts[1].get_text() == "0"
    assert "% of the true class" in axes.get_xlabel()
    ticks = [label.get_text() for label in axes.get_xticklabels()]
    assert max(map(len, ticks)) <= 32 and ticks[-1] == "\\x1b[31m$x$"


def test_robustness_numbers_are_those_of_the_table():
    (axes,) = robustness_report.curve_figure(NOISY).axes
    by_label = {line.get_label(): line for line in axes.lines}
    assert list(by_label["UA"].get_ydata()) == pytest.approx([30.0, 45.0])
    assert list(by_label["UA, no noise added"].get_ydata()) == [60.0, 60.0]
    rows = [[row["figures"]["ua"]["value"]] for row in NOISY["conditions"]]
    assert [robustness_report._number("ua", value) for (value,) in rows] == ["60.0", "30.0", "45.0"]


def test_importance_shows_the_numbers_of_the_table_by_their_names():
    (axes,) = of_search.importance_figure(SHARES).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["hop (ms)", "dropout"]
    assert [text.get_text() for text in axes.texts] == ["0, 2 %", "61, 70 %"]
    assert axes.get_xlim() == (0, 100)


def test_shares_of_importance_are_possible_whatever_the_draws():
    """Estimates may be below 0, above 1, more alone than with interactions, and more than 1 in sum."""
    main, total = _possible({"a": -0.02, "b": 0.9, "c": 0.4}, {"a": -0.1, "b": 1.3, "c": 0.3})
    assert main == pytest.approx({"a": 0.0, "b": 0.9 / 1.2, "c": 0.3 / 1.2}) and total == {"a": 0.0, "b": 1.0, "c": 0.3}


def test_parallel_coordinates_write_short_numbers_in_rows_that_fit_a_page():
    figure = of_search.parallel_figure(SPACE, TRIALS, TRIALS[1])
    ticks = [label.get_text() for axes in figure.axes[1:] for label in axes.get_yticklabels()]
    assert {"12.3", "1e-05", "0.01", "[8, 16]", "[128, 256, 51…", "0.512", "0.7"} <= set(ticks)
    space = {f"option.number_{n}": {"low": 0, "high": 1} for n in range(20)}
    many = [trial(n, 0.1 * n, **dict.fromkeys(space, n / 3)) for n in range(1, 4)]
    hosts = of_search.parallel_figure(space, many, many[0]).axes[:3]  # the axes through them come behind
    names = [[label.get_text() for label in host.get_xticklabels()] for host in hosts]
    assert [len(row) for row in names] == [8, 8, 7] and all(row[-1] == "score" for row in names)


@pytest.mark.parametrize("share", np.linspace(0, 1, 21))
def test_text_in_cells_contrasts_by_the_standard_of_web_pages(share):
    """At least 4.5 to 1, WCAG 2.1, on every shade of the map of colours."""
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    image = axes.imshow([[share]], cmap=style.SHADES, vmin=0, vmax=1)
    style.write_in_cells(axes, [[share]], [["x"]])
    rgb = np.array(image.to_rgba(share)[:3])
    light = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]
    ratio = (light + 0.05) / 0.05 if axes.texts[0].get_color() == "black" else 1.05 / (light + 0.05)
    assert ratio >= 4.5
