"""Correlate the activations of recurrent cells of a continuous network with energy, loudness and pitch.

MixedEmotions deliverable D4.2, section 5.4 (Trigeorgis et al. 2016), found cells that follow the range of RMS energy
(r = .81), loudness (.73) and mean F0 (.72). Keras layers do not return their gates, so these are computed again here,
from the layers' inputs and weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import librosa
import numpy as np

from zoo.config.frame_timing import RATE_HZ, frame_seconds, on_waveforms, segment_frames, steps_per_frame
from zoo.data.audio.read import read
from zoo.errors import UserError
from zoo.features import from_config
from zoo.frontends import opensmile
from zoo.inference.tracer import segment_starts, tracer
from zoo.reports import style
from zoo.reports.figures import save
from zoo.runs.model_file import load_model, looks_at_whole_segments, network_of
from zoo.runs.open_run import open_run
from zoo.utils.atomic_files import write_csv

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_SECONDS = 600.0
MEASURES = {"rms_range": "range of RMS energy", "loudness": "loudness", "mean_f0": "mean F0"}
LSTM_GATES = ("input gate", "forget gate", "output gate", "candidate", "cell state", "hidden state")
GRU_GATES = ("update gate", "reset gate", "candidate", "hidden state")
# openSMILE's names in eGeMAPS, and half the length of the analysis frame: its times are of where frames begin.
_LOUDNESS, _LOUDNESS_MIDDLE = "Loudness_sma3", 0.01
_F0, _F0_MIDDLE = "F0semitoneFrom27.5Hz_sma3nz", 0.03

_RECURRENT = (keras.layers.LSTM, keras.layers.GRU, keras.layers.Bidirectional)

Cells = tuple[str, str, str]  # layer, direction, gate
Row = dict[str, Any]


@dataclass(frozen=True)
class Found:
    """The cells of a run on a recording: activations, measures of the speech, and the rows of `correlate`."""

    cells: Mapping[Cells, np.ndarray]
    measures: Mapping[str, np.ndarray]
    rows: list[Row]
    frame_seconds: float
    title: str

    def figure(self) -> Figure:
        """Draw each measure and the activation that follows it best."""
        return _plot(self.cells, self.measures, self.rows, self.frame_seconds)


def inspect_run(
    run: Path, recording: Path, out: Path, fold: str | None = None, window_seconds: float = 1.0
) -> tuple[list[Row], str]:
    """Write cells.csv and cells.png, .svg, .pdf to the folder `out`; return the rows of `correlate` and their title.

    Raises as `measure_run`.
    """
    found = measure_run(run, recording, fold, window_seconds)
    shown = ({name: f"{row[name]:.6f}" if np.isfinite(row[name]) else "" for name in MEASURES} for row in found.rows)
    write_csv(out / "cells.csv", [row | r for row, r in zip(found.rows, shown, strict=True)])
    save(found.figure(), out / "cells.png", "Measures of speech and the cells that follow them", found.title)
    return found.rows, found.title


def measure_run(run: Path, recording: Path, fold: str | None = None, window_seconds: float = 1.0) -> Found:
    """Correlate the cells of a run's network with measures of a recording.

    `fold` is a number; without it the run's first is taken. Raises UserError where the run is not finished, has no LSTM
    or GRU, or the recording is no longer than the window; BadClip where it lasts less than three frames or more than
    `MAX_SECONDS`.
    """
    opened = open_run(run, fold)
    settings, fold_folder = opened.settings, opened.fold_folders[0]
    hop = frame_seconds(settings)
    waveform = read(recording, RATE_HZ, min_seconds=3 * hop, max_seconds=MAX_SECONDS)
    n_frames = len(waveform) // round(hop * RATE_HZ)
    measures = acoustic_measures(waveform, RATE_HZ, n_frames, hop, window_seconds)
    network = network_of(load_model(fold_folder / "model.keras", waveforms=on_waveforms(settings)))
    features = from_config.extractor(settings).features(waveform)
    cells = activations(network, features, steps_per_frame(settings), segment_frames(settings))
    title = f"{run.name} {fold_folder.name}, {settings.model} trained on {opened.corpus}: {recording.name}"
    return Found(cells, measures, correlate(cells, measures), hop, title)


def lstm_gates(
    inputs: np.ndarray, kernel: np.ndarray, recurrent_kernel: np.ndarray, bias: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the activations of an LSTM at every frame: (frames, units) for each of LSTM_GATES.

    Arguments are inputs (frames, channels) and a Keras LSTM's weights, activations tanh and sigmoid.
    """
    driven = inputs @ kernel + bias
    hidden = cell = np.zeros(len(recurrent_kernel), driven.dtype)
    frames = []
    for drive in driven:
        entry, forget, candidate, output = np.split(drive + hidden @ recurrent_kernel, 4)
        entry, forget, output, candidate = _sigmoid(entry), _sigmoid(forget), _sigmoid(output), np.tanh(candidate)
        cell = forget * cell + entry * candidate
        hidden = output * np.tanh(cell)
        frames.append((entry, forget, output, candidate, cell, hidden))
    return dict(zip(LSTM_GATES, np.stack(frames, axis=1), strict=True))


def gru_gates(
    inputs: np.ndarray, kernel: np.ndarray, recurrent_kernel: np.ndarray, bias: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the activations of a GRU at every frame: (frames, units) for each of GRU_GATES.

    Arguments are inputs (frames, channels) and a Keras GRU's weights: `reset_after`, so that there are two biases
    (2, 3 * units), activations tanh and sigmoid. An update gate of 1 keeps the hidden state.
    """
    driven = inputs @ kernel + bias[0]
    hidden = np.zeros(len(recurrent_kernel), driven.dtype)
    frames = []
    for drive in driven:
        update, reset, candidate = np.split(drive, 3)
        from_update, from_reset, from_candidate = np.split(hidden @ recurrent_kernel + bias[1], 3)
        update, reset = _sigmoid(update + from_update), _sigmoid(reset + from_reset)
        candidate = np.tanh(candidate + reset * from_candidate)
        hidden = update * hidden + (1 - update) * candidate
        frames.append((update, reset, candidate, hidden))
    return dict(zip(GRU_GATES, np.stack(frames, axis=1), strict=True))


def activations(
    network: keras.Model, features: np.ndarray, steps_per_frame: int, segment_frames: int
) -> dict[Cells, np.ndarray]:
    """Return all recurrent activations of a continuous network over a recording's features (steps, channels).

    They are (frames, units) by layer, direction ("forward" or "backward") and gate, all in the order of time. A network
    that looks at its segment as a whole gets consecutive segments. Raises UserError without LSTM or GRU layers.
    """
    probe, layers = _probe(network)
    trace = tracer(probe, steps_per_frame, segment_frames)
    ends = np.cumsum([_source(layer).shape[-1] for layer in layers])[:-1]
    n_frames = len(features) // steps_per_frame
    size = min(segment_frames, n_frames) if looks_at_whole_segments(network) else n_frames
    found: dict[Cells, np.ndarray] = {}
    for start in segment_starts(n_frames, size):
        part = features[start * steps_per_frame : (start + size) * steps_per_frame]
        for layer, inputs in zip(layers, np.split(trace(part), ends, axis=1), strict=True):
            for key, values in _gates(layer, inputs):
                found.setdefault(key, np.empty((n_frames, values.shape[1]), np.float32))[start : start + size] = values
    return found


def acoustic_measures(
    waveform: np.ndarray, rate_hz: int, n_frames: int, frame_seconds: float, window_seconds: float = 1.0
) -> dict[str, np.ndarray]:
    """Return MEASURES over a window centred on the middle of each frame: (n_frames,) each.

    They are the greatest less the least RMS of 25 ms (linear), the mean of eGeMAPS's loudness, and the mean of its F0
    in semitones above 27.5 Hz over voiced frames: NaN in windows without any. Raises UserError without the opensmile
    package, or when the recording is no longer than the window.
    """
    seconds = len(waveform) / rate_hz
    if not 0.1 <= window_seconds < seconds:
        expected = f"at least 0.1 and less than the recording's {seconds:g} s"
        raise UserError(f"--window-seconds is {window_seconds:g}, expected {expected}. Give another one")
    length, hop = round(0.025 * rate_hz), round(0.01 * rate_hz)
    rms = librosa.feature.rms(y=waveform, frame_length=length, hop_length=hop, center=False)[0]
    rms_times = (np.arange(len(rms)) * hop + length / 2) / rate_hz
    times, values, names = opensmile.descriptors(waveform, rate_hz, "egemaps")
    loudness, f0 = values[:, names.index(_LOUDNESS)], values[:, names.index(_F0)]
    voiced = f0 > 0
    middles = (np.arange(n_frames) + 0.5) * frame_seconds
    return {
        "rms_range": _windowed(np.ptp, rms_times, rms, middles, window_seconds),
        "loudness": _windowed(np.mean, times + _LOUDNESS_MIDDLE, loudness, middles, window_seconds),
        "mean_f0": _windowed(np.mean, times[voiced] + _F0_MIDDLE, f0[voiced], middles, window_seconds),
    }


def correlations(units: np.ndarray, measure: np.ndarray) -> np.ndarray:
    """Return Pearson's r (units,) of activations (frames, units) with a measure (frames,), in -1..1.

    Frames where the measure is NaN are left out. r is NaN for a measure that does not vary, a unit that does by less
    than 1e-6 (rounding), and fewer than three frames.
    """
    known = np.isfinite(measure)
    units, measure = units[known].astype(float), measure[known].astype(float)
    if len(measure) < 3 or np.ptp(measure) == 0:
        return np.full(units.shape[1], np.nan)
    centred, varying = units - units.mean(axis=0), np.ptp(units, axis=0) > 1e-6
    product = centred.T @ (measure - measure.mean()) / len(measure)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(varying, product / (units.std(axis=0) * measure.std()), np.nan)


def correlate(cells: Mapping[Cells, np.ndarray], measures: Mapping[str, np.ndarray]) -> list[Row]:
    """Return a row for each activation: layer, direction, gate, unit (from 0), and its r with each measure."""
    rows: list[Row] = []
    for (layer, direction, gate), units in cells.items():
        found = {name: correlations(units, measure).tolist() for name, measure in measures.items()}
        for unit in range(units.shape[1]):
            names = {"layer": layer, "direction": direction, "gate": gate, "unit": unit}
            rows.append({**names, **{name: values[unit] for name, values in found.items()}})
    return rows


def best(rows: Sequence[Row], measure: str, count: int = 1) -> list[Row]:
    """Return the rows of largest |r| with a measure, the largest first; none where no r is defined."""
    known = [row for row in rows if np.isfinite(row[measure])]
    return sorted(known, key=lambda row: -abs(row[measure]))[:count]


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(0.5 * x))  # exp(-x) would overflow


def _probe(network: keras.Model) -> tuple[keras.Model, list[keras.layers.Layer]]:
    """Return a network from the same inputs to those of all recurrent layers, side by side, and these layers."""
    inner = next((layer for layer in network.layers if isinstance(layer, keras.Model)), network)
    layers = [layer for layer in inner.layers if isinstance(layer, _RECURRENT)]
    if not layers:
        raise UserError(f"network {network.name} has no LSTM or GRU layer, expected one or more. Choose another run")
    output = keras.layers.Concatenate(dtype="float32", name="cells_see")([_source(layer) for layer in layers])
    probe = keras.Model({item.name: item for item in inner.inputs}, output)
    if inner is network:
        return probe, layers
    inputs = {item.name: item for item in network.inputs}
    normalized = network.get_layer("normalization").output  # as zoo.frontends.compose.with_normalization made it
    output = probe({**inputs, "features": normalized})
    return keras.Model(inputs, output), layers


def _source(layer: keras.layers.Layer) -> Any:
    """Return the sequence a recurrent layer was called on, without its mask."""
    return keras.tree.flatten(layer.input)[0]


def _gates(layer: keras.layers.Layer, inputs: np.ndarray) -> Iterator[tuple[Cells, np.ndarray]]:
    """Yield the activations of each direction of a layer, from its inputs (frames, channels)."""
    both = isinstance(layer, keras.layers.Bidirectional)
    for rnn in (layer.forward_layer, layer.backward_layer) if both else (layer,):
        wanted = {"activation": "tanh", "recurrent_activation": "sigmoid", "use_bias": True}
        if isinstance(rnn, keras.layers.GRU):
            wanted["reset_after"] = True
        if {key: rnn.get_config()[key] for key in wanted} != wanted:
            raise ValueError(f"layer {layer.name}: expected {wanted}, found {rnn.get_config()}")
        compute = gru_gates if isinstance(rnn, keras.layers.GRU) else lstm_gates
        order = slice(None, None, -1 if rnn.go_backwards else 1)
        for gate, values in compute(inputs[order], *rnn.get_weights()).items():
            yield (layer.name, "backward" if rnn.go_backwards else "forward", gate), values[order]


def _windowed(
    statistic: Callable[[np.ndarray], Any], times: np.ndarray, values: np.ndarray, middles: np.ndarray, seconds: float
) -> np.ndarray:
    """Return the statistic of the values within `seconds` / 2 of each of `middles`; NaN where there are none."""
    first, last = (np.searchsorted(times, middles + offset) for offset in (-seconds / 2, seconds / 2))
    return np.array([statistic(values[a:b]) if a < b else np.nan for a, b in zip(first, last, strict=True)])


@style.styled
def _plot(cells, measures: Mapping[str, np.ndarray], rows: Sequence[Row], frame_seconds: float) -> Figure:
    """Draw each measure and the activation that follows it best, both standardised."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(style.PAGE_INCHES, 1.7 * len(measures) + 0.8))
    every = figure.subplots(len(measures), sharex=True)
    for axes, (name, measure) in zip(every, measures.items(), strict=True):
        seconds = np.arange(len(measure)) * frame_seconds
        axes.set_ylabel("Standard deviations\nfrom the mean")
        axes.margins(x=0)
        axes.grid()
        for row in best(rows, name):  # none where the measure does not vary
            layer, direction, gate, unit = (row[key] for key in ("layer", "direction", "gate", "unit"))
            label = f"{layer} {direction}, {gate} of unit {unit}, r = {row[name]:+.2f}"
            own = _standardised(cells[layer, direction, gate][:, unit])
            axes.plot(seconds, _standardised(measure), "-", color=style.BLACK, linewidth=1, label=MEASURES[name])
            axes.plot(seconds, own, "--", color=style.ORANGE, linewidth=1, label=label)
            axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)
    every[-1].set_xlabel("Time (s)")
    return figure


def _standardised(values: np.ndarray) -> np.ndarray:
    return (values - np.nanmean(values)) / np.nanstd(values)
