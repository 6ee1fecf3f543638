"""What the figures of Zhao et al. 2019 draw is what they were given."""

import numpy as np

from zoo.reproduction.zhao_figures import Measure, bars, grouped_bars, lines, spectrograms

OURS, THEIRS = Measure(0.4, 0.3, 0.6, 0.62), Measure(published=0.45)
ALONE = Measure(0.5)  # of one speaker: no interval


def test_bars_have_a_panel_for_each_corpus_and_a_place_for_each_row():
    one, two = bars({"IEMOCAP": {"a": OURS, "b": THEIRS}, "Aibo": {"b": ALONE}}, "UA (%)").axes
    assert [label.get_text() for label in one.get_yticklabels()] == ["a", "b"]
    np.testing.assert_allclose([bar.get_width() for bar in one.patches], [40, np.nan])
    np.testing.assert_allclose([bar.get_width() for bar in two.patches], [np.nan, 50])
    (diamonds,) = (line for line in one.lines if line.get_label() == "published")
    assert diamonds.get_xdata().tolist() == [62, 45] and diamonds.get_ydata().tolist() == [0, 1]
    assert [segment.tolist() for segment in one.collections[0].get_segments()] == [[[30, 0], [60, 0]]]


def test_lines_run_over_the_values_of_the_setting():
    (axes,) = lines({"ravdess": {30: OURS, 100: ALONE}}, "UA (%)", "Mel bands").axes
    ours, *_ = axes.lines
    assert (ours.get_xdata().tolist(), ours.get_ydata().tolist()) == ([30, 100], [40, 50])
    (axes,) = lines({"ravdess": {30: ALONE}}, "UA (%)", "Mel bands").axes
    assert "published" not in [line.get_label() for line in axes.lines]


def test_grouped_bars_have_a_bar_for_each_network_and_value():
    networks = {"AlexNet": {30: OURS, 40: ALONE}, "proposed": {40: OURS}}
    (axes,) = grouped_bars({"IEMOCAP": networks}, "UA (%)", "Mel bands").axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["30", "40"]
    np.testing.assert_allclose([bar.get_height() for bar in axes.patches], [40, 50, np.nan, 40])


def test_spectrograms_have_a_row_for_bands_and_a_column_for_windows():
    pictures = {(bands, ms): np.full((20, bands), ms) for bands in (30, 40) for ms in (25.0, 15.0)}
    figure = spectrograms(pictures, 2.0)
    drawn = [(axes.images[0].get_array().shape, axes.images[0].get_array()[0, 0]) for axes in figure.axes]
    assert drawn == [((30, 20), 15), ((30, 20), 25), ((40, 20), 15), ((40, 20), 25)]
    assert figure.axes[0].get_title() == "15 ms" and figure.axes[2].get_ylabel() == "40 mel bands"
