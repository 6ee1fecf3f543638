"""Runs scored in noise and rooms: what the models are made to hear, the figures, what is kept, and what is refused.

In place of a network stands an ear that tells emotions apart as long as the noise is faint, so that scores are known.
"""

import csv
import io
import json
import runpy
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import soundfile
from rich.console import Console
from scipy.signal import lfilter

import zoo.studies.robustness_report
import zoo.training.tasks.classification
import zoo.training.tasks.continuous
from zoo import registry
from zoo.config.flags import from_flags
from zoo.data.audio.read import read
from zoo.data.augmentation.additive_noise import open_noises
from zoo.data.schema import Clip, Fold
from zoo.data.synthetic.corpora import synthesize
from zoo.errors import UserError
from zoo.frontends.compose import with_frontend, with_normalization
from zoo.frontends.log_mel import LogMel
from zoo.runs.dataset import open_source, resolve
from zoo.runs.folder import fold_folder
from zoo.studies.robustness import measure
from zoo.studies.robustness_conditions import Asked, subset
from zoo.studies.robustness_report import print_table, title
from zoo.training.tasks import base as tasks
from zoo.utils.atomic_files import ASIDE, write_csv, write_json

SCRIPT = Path(__file__).parents[2] / "scripts" / "robustness.py"
RATE_HZ = 16_000
NOISE_HZ = {f"{hz}.wav": hz for hz in range(1000, 7000, 1000)}  # a noise file each: a tone of its own, and a hiss
DEAF_BELOW_DB = 7.5
SNR_DB = (0.0, 5.0, 10.0, 15.0, 20.0)
FIGURES = ("ua", "ua_low", "ua_high", "ua_change", "wa", "wa_low", "wa_high", "wa_change")


@pytest.fixture(scope="module")
def emodb(tmp_path_factory):
    return synthesize("emodb", tmp_path_factory.mktemp("twin") / "emodb", 70, seconds=(0.3, 0.4))


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    folder = tmp_path_factory.mktemp("noise")
    rng, seconds = np.random.default_rng(5), np.arange(RATE_HZ) / RATE_HZ
    for name, hz in NOISE_HZ.items():
        soundfile.write(folder / name, 0.1 * np.sin(2 * np.pi * hz * seconds) + rng.normal(0, 0.01, RATE_HZ), RATE_HZ)
    return str(folder)


@pytest.fixture(scope="module")
def rooms(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rooms")
    soundfile.write(folder / "echo.wav", np.r_[1, np.zeros(800), 0.5], RATE_HZ, subtype="FLOAT")
    soundfile.write(folder / "louder.wav", np.array([2.0, 0, 0]), RATE_HZ, subtype="FLOAT")
    return str(folder)


@pytest.fixture(scope="module")
def microphones(tmp_path_factory):
    """One has the name of a room."""
    folder = tmp_path_factory.mktemp("microphones")
    soundfile.write(folder / "echo.wav", np.array([1, -0.6, 0.2]), RATE_HZ, subtype="FLOAT")
    soundfile.write(folder / "dull.wav", np.array([1, 0.8]), RATE_HZ, subtype="FLOAT")
    return str(folder)


def snr_of(clean, heard):
    """Of speech that is at most turned down as a whole."""
    gain = heard @ clean / (clean @ clean)
    return 10 * np.log10(np.sum((gain * clean) ** 2) / max(np.sum((heard - gain * clean) ** 2), 1e-12))


class Ear:
    """Takes the place of zoo.training.tasks.classification.test_rows and keeps what it heard: by call, (clip, waveform,
    heard).
    """

    def __init__(self):
        self.calls = []
        self.stop_at = None

    def __call__(self, folder, clips, protocol, corpus, config, hear=None):
        if len(self.calls) == self.stop_at:
            raise KeyboardInterrupt
        self.calls.append([])
        rows = []
        for clip in clips:
            waveform = read(clip.path)
            heard = hear(waveform, clip.name) if hear else waveform
            self.calls[-1].append((clip.name, waveform, heard))
            prediction = clip.label if snr_of(waveform, heard) > DEAF_BELOW_DB else protocol.classes[0]
            row = {"corpus": corpus, "clip": clip.name, "speaker": clip.speaker}
            rows.append({**row, "truth": clip.label, "prediction": prediction})
        return rows

    @property
    def heard(self):
        return {name: heard for call in self.calls for name, _, heard in call}


@pytest.fixture
def ear(monkeypatch):
    ear = Ear()
    monkeypatch.setattr(zoo.training.tasks.classification, "test_rows", ear)
    return ear


@pytest.fixture
def run(emodb, ear, tmp_path):
    """A finished run of two folds of a speaker each, whose models are of no use: the ear answers."""
    folder = write_run(tmp_path / "run", emodb, ear)
    ear.calls.clear()
    return folder


def write_run(folder, root, test_rows, model=None, **facts):
    given = {"model": "fcn", "corpus": "emodb", "fold": "0,1", "bands": 8, "data_root": str(root), "out": str(folder)}
    settings = resolve(from_flags({**given, "backend": keras.backend.backend()}))
    source, kind = open_source(settings), tasks.of("fcn")
    versions = {"speech-emotion-zoo": "0.1.0"}
    facts = {"model": "fcn", "recipe": "paper", "corpus": "emodb", "bad_clips": [], "versions": versions, **facts}
    facts = {"protocol": "emodb-speakers v1", "synthetic": True, "leakage": [], "notes": [], **facts}
    every = []
    for fold in source.folds:
        path = fold_folder(folder, fold) / "model.keras"
        path.parent.mkdir(parents=True)
        model.save(path) if model else path.write_bytes(b"no model")
        rows = test_rows(path.parent, fold.test, source.protocol, "emodb", settings)
        write_csv(fold_folder(folder, fold) / "predictions.csv", rows)
        scores = kind.scores(rows, source.protocol)
        write_json(fold_folder(folder, fold) / "metrics.json", {**facts, **scores, "fold": fold.name})
        every += rows
    folds = [{"fold": fold.name} for fold in source.folds]
    write_json(folder / "config.json", settings.saved())
    write_json(folder / "metrics.json", {**facts, **kind.scores(every, source.protocol), "folds": folds})
    return folder


def table(path):
    with (path / "scores.csv").open(newline="") as file:
        return {row["condition"]: row for row in csv.DictReader(file)}


def loudest_hz(waveform):
    return round(float(np.argmax(np.abs(np.fft.rfft(waveform, RATE_HZ)))), -3)


def on_terminal(record, width=80):
    console = Console(file=io.StringIO(), width=width)
    print_table(record, console)
    return console.file.getvalue()


def test_scores_are_those_of_an_ear_that_noise_deafens(run, noise):
    """Each of two speakers says each of seven emotions once; a deaf ear answers one of them always."""
    record = measure(run, Asked(noise=noise))
    rows = table(run / "robustness")
    assert list(rows) == ["clean", "20 dB", "15 dB", "10 dB", "5 dB", "0 dB"] and record["differs"] == []
    for name, row in rows.items():
        deaf = name in ("5 dB", "0 dB")
        assert [float(row[key]) for key in ("ua", "wa")] == pytest.approx([1 / 7 if deaf else 1.0] * 2)
        assert [float(row[key]) for key in ("ua_change", "wa_change")] == pytest.approx([-6 / 7 if deaf else 0.0] * 2)
        assert row["ua_low"] == row["ua_high"] == row["ua"], "both speakers are alike"
    facts = {"condition": "5 dB", "snr_db": "5.0", "room": "", "microphone": "", "noise": "", "n_clips": "14"}
    assert list(rows["5 dB"]) == [*facts, "n_speakers", *FIGURES, "remarks"]
    assert facts.items() <= rows["5 dB"].items() and rows["5 dB"]["remarks"] == "synthetic"
    written = json.loads((run / "robustness" / "robustness.json").read_text())
    assert written == record and written["conditions"][-1]["figures"]["ua"]["change"] == pytest.approx(-6 / 7)
    assert (run / "robustness" / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_models_hear_the_ratio_asked_for_in_noise_kept_for_testing(run, noise, ear):
    record = measure(run, Asked(noise=noise, snr_db=(-3.0, 12.0), level="all"))
    assert len(record["noise_files"]) == 2 and record["noise"] == noise
    kept_hz = {NOISE_HZ[name] for name in open_noises(Path(noise)).names["test"]}
    clean, *noisy = ear.calls[::2], ear.calls[2:4], ear.calls[4:6]
    assert all(heard is waveform for _, waveform, heard in clean[0])
    for snr_db, calls in zip((12, -3), noisy, strict=True):
        assert len({name for call in calls for name, *_ in call}) == 14
        heard_hz = set()
        for _, waveform, heard in (item for call in calls for item in call):
            assert snr_of(waveform, heard) == pytest.approx(snr_db, abs=0.5)
            heard_hz.add(loudest_hz(heard - waveform * (heard @ waveform) / (waveform @ waveform)))
        assert heard_hz == kept_hz


def test_rooms_and_microphones_are_heard_alone_and_at_each_ratio(run, noise, rooms, ear):
    record = measure(run, Asked(noise=noise, snr_db=(10.0,), rooms=rooms, microphones=rooms, fold="0"))
    ways = ("room echo", "room louder", "microphone echo", "microphone louder")
    expected = ["clean", "10 dB", *(f"{way}{more}" for way in ways for more in ("", " + 10 dB"))]
    assert [row["condition"] for row in record["conditions"]] == expected and record["fold"] == "0"
    heard = {name: call[0][2] for name, call in zip(expected, ear.calls, strict=True)}
    waveform = ear.calls[0][0][1]
    np.testing.assert_allclose(heard["room louder"], waveform, atol=1e-6)
    echo = waveform + 0.5 * np.r_[np.zeros(801), waveform[:-801]]
    echo *= np.sqrt(np.sum(waveform**2) / np.sum(echo**2))
    np.testing.assert_allclose(heard["room echo"], echo, atol=1e-4 * np.abs(echo).max())
    assert 9 < snr_of(heard["room echo"], heard["room echo + 10 dB"]) < 11
    np.testing.assert_array_equal(heard["microphone echo"], heard["room echo"])
    assert (run / "robustness" / "heatmap.png").read_bytes().startswith(b"\x89PNG")
    row = table(run / "robustness")["microphone echo + 10 dB"]
    assert (row["microphone"], row["room"], row["snr_db"], row["n_speakers"]) == ("echo", "", "10.0", "1")
    assert row["ua_low"] == "" and "no interval: one speaker" in on_terminal(record, 120)


def test_chains_are_every_microphone_in_every_room(run, noise, rooms, microphones, ear):
    """Against SciPy's filter by both responses in turn; a microphone and a room of one name are two responses."""
    asked = {"noise": noise, "snr_db": (10.0,), "rooms": rooms, "microphones": microphones, "fold": "0"}
    record = measure(run, Asked(**asked, chain=True))
    ways = [f"microphone {microphone} + room {room}" for microphone in ("dull", "echo") for room in ("echo", "louder")]
    expected = [f"{way}{more}" for way in ways for more in ("", " + 10 dB")]
    assert [row["condition"] for row in record["conditions"]][-8:] == expected and len(record["conditions"]) == 2 * 9
    heard = {name: call[0][2] for name, call in zip(expected, ear.calls[-8:], strict=True)}
    waveform = ear.calls[0][0][1]
    through = lfilter(np.r_[1, np.zeros(800), 0.5], [1], lfilter([1, -0.6, 0.2], [1], waveform.astype(float)))
    through *= np.sqrt(np.sum(np.square(waveform, dtype=float)) / np.sum(through**2))
    np.testing.assert_allclose(heard[ways[2]], through, atol=1e-4 * np.abs(through).max())
    assert 9 < snr_of(heard[ways[2]], heard[f"{ways[2]} + 10 dB"]) < 11

    with (run / "robustness" / "scores.csv").open(newline="") as file:
        chains = [row for row in csv.DictReader(file) if row["microphone"] and row["room"]]
    assert [row["condition"] for row in chains] == expected
    assert chains[5] | {"microphone": "echo", "room": "echo", "snr_db": "10.0"} == chains[5]
    shown = " ".join(on_terminal(record, 120).split())
    assert all(name in shown for name in expected)


def test_the_heat_map_has_a_line_for_each_chain(run, noise, rooms, microphones, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        zoo.studies.robustness_report, "save_png", lambda figure, path: drawn.append((figure, path.name))
    )
    measure(run, Asked(noise=noise, snr_db=(10.0,), rooms=rooms, microphones=microphones, fold="0", chain=True))
    ((figure, name),) = drawn
    lines = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert name == "heatmap.png" and lines[:3] == ["as recorded", "room echo", "room louder"]
    assert lines[3:5] == ["microphone dull", "microphone echo"] and len(lines) == len(set(lines)) == 9
    assert lines[5:7] == ["microphone dull + room echo", "microphone dull + room louder"]


def test_chains_are_added_to_a_finished_grid_and_only_where_asked_for(run, rooms, microphones, ear):
    asked = {"rooms": rooms, "microphones": microphones, "fold": "0"}
    before = measure(run, Asked(**asked))["conditions"]
    assert [row["condition"] for row in before if row["room"] and row["microphone"]] == [] and len(before) == 5
    ear.calls.clear()
    after = measure(run, Asked(**asked, chain=True))
    assert after["conditions"][:5] == before and len(ear.calls) == len(after["conditions"]) - 5 == 4
    assert after["chain"] is True and measure(run, Asked(**asked))["conditions"] == before


def test_drawn_rooms_are_three_and_hang_on_the_seed(run, ear):
    record = measure(run, Asked(rooms="exponential"), run / "a")
    assert [row["room"] for row in record["conditions"]] == [None, "small", "medium", "large"]
    assert "reverberation times: small 0.25 s" in on_terminal(record, 120)
    again, other = (measure(run, Asked(rooms="exponential", seed=seed), run / f"{seed}") for seed in (0, 1))
    assert again["settings"] == record["settings"]
    assert len({str(item["settings"]["rooms"]) for item in (record, other)}) == 2


def test_simulated_rooms_say_which_extra_is_absent(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyroomacoustics", None)
    with pytest.raises(UserError, match=r"pip install -e '.\[rooms\]'"):
        measure(run, Asked(rooms="simulated"))
    assert not (run / "robustness").exists()


def test_each_recording_of_noise_by_itself(run, noise, ear):
    record = measure(run, Asked(noise=noise, snr_db=(-10.0,), by_noise=True))
    names = record["noise_files"]
    assert [row["noise"] for row in record["conditions"]] == [None, None, *names]
    assert [row["condition"] for row in record["conditions"]][:3] == ["clean", "-10 dB", f"-10 dB of {names[0]}"]
    for name, number in zip(names, (4, 6), strict=True):
        heard = [heard for call in ear.calls[number : number + 2] for *_, heard in call]
        assert {loudest_hz(waveform) for waveform in heard} == {NOISE_HZ[name]}
    assert (run / "robustness-by-noise" / "noises.png").read_bytes().startswith(b"\x89PNG")


def test_the_seed_decides_and_neither_order_nor_folder(run, noise, ear):
    heard, figures = [], []
    for number, (order, seed) in enumerate([((0.0, 15.0), 0), ((15.0, 0.0), 0), ((0.0, 15.0), 1), ((0.0,), 0)]):
        ear.calls.clear()
        record = measure(run, Asked(noise=noise, snr_db=order, seed=seed), run / str(number))
        heard.append(ear.heard)  # by clip, in what came last: 0 dB
        figures.append(record["conditions"])
    for name, waveform in heard[0].items():
        np.testing.assert_array_equal(waveform, heard[1][name])
        np.testing.assert_array_equal(waveform, heard[3][name])
        assert not np.array_equal(waveform, heard[2][name])
    assert figures[0] == figures[1]


def test_an_interrupted_grid_goes_on_where_it_was(run, noise, ear):
    asked = Asked(noise=noise)
    ear.stop_at = 5  # in the middle of the third condition: each takes a call per fold
    with pytest.raises(KeyboardInterrupt):
        measure(run, asked)
    done = run / "robustness" / "conditions"
    assert len(list(done.iterdir())) == 2 and not (run / "robustness" / "scores.csv").exists()
    (done / f"{ASIDE}half.99999999.json").write_text("{")  # as kill -9 leaves it
    ear.stop_at = None
    measure(run, asked)
    assert len(ear.calls) == 5 + 2 * 4, "six conditions, of which two were finished"
    assert len(list(done.iterdir())) == 6
    resumed = table(run / "robustness")
    measure(run, asked, run / "whole")
    assert table(run / "whole") == resumed
    n_calls = len(ear.calls)
    assert measure(run, asked)["differs"] == [] and len(ear.calls) == n_calls


def test_a_folder_of_other_settings_is_refused(run, noise, rooms):
    asked = {"noise": noise, "snr_db": (5.0,)}
    measure(run, Asked(**asked))
    before = (run / "robustness" / "robustness.json").read_bytes()
    changes = {
        "seed was 0, now 1": {"seed": 1},
        r"snr_db was \[5.0\], now \[3.0\]": {"snr_db": (3.0,)},
        "snr_level was active, now all": {"level": "all"},
        "noise.split was files, now time": {"split": "time"},
        "rooms.echo was None": {"rooms": rooms},
        "clips.n was 14, now 4": {"n_clips": 4},
    }
    for message, change in changes.items():
        with pytest.raises(UserError, match=f"{message}.*another --out"):
            measure(run, Asked(**{**asked, **change}))
    (run / "fold-0-03" / "model.keras").write_bytes(b"another model")
    with pytest.raises(UserError, match="models_sha256 was"):
        measure(run, Asked(**asked))
    assert (run / "robustness" / "robustness.json").read_bytes() == before
    with pytest.raises(UserError, match=r"expected a new folder, found config\.json"):
        measure(run, Asked(**asked), run)


def test_clean_figures_that_are_not_the_recorded_ones_are_said_loudly(run, noise, monkeypatch, capsys):
    record = json.loads((run / "metrics.json").read_text())
    write_json(run / "metrics.json", {**record, "ua": {**record["ua"], "value": 0.5}})
    code, out, err = script(monkeypatch, capsys, run, "--noise", noise, "--snr", "20")
    assert code == 1 and "NOT AS RECORDED" in err, "as soon as it is known"
    assert "NOT AS RECORDED" in out and "ua.value: 0.5 was recorded, 1.0 found" in out
    assert {row["remarks"] for row in table(run / "robustness").values()} == {"synthetic; NOT AS RECORDED"}


def test_a_subset_has_clips_of_every_speaker_and_says_so(run, noise, ear):
    record = measure(run, Asked(noise=noise, snr_db=(5.0,), n_clips=5))
    assert record["differs"] == [], "against the recorded predictions of these clips"
    speakers = [name[:2] for call in ear.calls[:2] for name, *_ in call]
    assert sorted(map(speakers.count, set(speakers))) == [2, 3]
    assert all("subset of 5 of 14 test clips" in row["remarks"] for row in table(run / "robustness").values())
    assert "subset of 5 of 14 test clips" in " ".join(on_terminal(record).split())
    again = measure(run, Asked(noise=noise, snr_db=(5.0,), n_clips=5), run / "again")
    assert again["settings"] == record["settings"]
    others = {
        measure(run, Asked(noise=noise, snr_db=(5.0,), n_clips=5, seed=seed), run / str(seed))["settings"]["clips"][
            "sha256"
        ]
        for seed in range(3)
    }
    assert len(others) > 1


def test_subsets_take_the_same_share_of_each_speaker(emodb):
    settings = resolve(from_flags({"model": "fcn", "corpus": "emodb", "data_root": str(emodb)}))
    folds = open_source(settings).folds
    for n_clips, of_each in ((10, {1}), (30, {3}), (70, {7}), (34, {3, 4})):
        chosen = subset(folds, n_clips, 0)
        assert {len(fold.test) for fold in chosen} == of_each and sum(len(fold.test) for fold in chosen) == n_clips
        assert [fold.train for fold in chosen] == [fold.train for fold in folds]
    for n_clips in (9, 71, -1):
        with pytest.raises(UserError, match=f"--clips is {n_clips}, expected 10 to 70"):
            subset(folds, n_clips, 0)


def test_a_speaker_of_many_clips_has_more_of_them_in_a_subset():
    clips = [
        Clip(Path(f"{name}{n}"), f"{name}{n}", name, "x") for name, count in (("a", 2), ("b", 8)) for n in range(count)
    ]
    (fold,) = subset([Fold("0-x", (), (), tuple(clips))], 5, 0)
    assert [clip.speaker for clip in fold.test] == ["a", "b", "b", "b", "b"]


def test_the_terminal_shows_marks_and_every_number_in_eighty_columns(emodb, ear, noise, tmp_path):
    leak = "Fold 0: 2 of 2 speakers on two sides"
    run = write_run(tmp_path / "run", emodb, ear, leakage=[leak], notes=["Session [5]: expected 9 clips, found 0"])
    text = on_terminal(measure(run, Asked(noise=noise)))
    assert max(map(len, text.splitlines())) <= 80 and "…" not in text
    said = " ".join(text.split())
    assert "on SYNTHETIC emodb" in said and leak in said and "Session [5]: expected 9 clips" in said
    assert "not speaker-independent" in said and "incomplete corpus" in said
    assert "14.3 (−85.7) [14.3, 14.3]" in said and "100.0 [100.0, 100.0]" in said
    assert "2 recordings kept for testing" in said


def test_ratings_are_scored_before_and_after_post_processing(noise, tmp_path, monkeypatch):
    """A CCC by hand: predictions are ratings plus a constant, which noise makes larger."""
    root = synthesize("recola", tmp_path / "RECOLA", 8, seconds=(1, 1.2))

    def rate(folder, clips, protocol, corpus, config, hear=None):
        rows = []
        for clip in clips:
            waveform = read(clip.path)
            error = 0.5 if hear and snr_of(waveform, hear(waveform, clip.name)) < DEAF_BELOW_DB else 0.1
            for frame, values in enumerate(clip.trace.values):
                row = {"corpus": corpus, "fold": "0-x", "clip": clip.name, "speaker": clip.speaker, "time": f"{frame}"}
                for name, value in zip(protocol.targets, values, strict=True):
                    row |= {f"truth_{name}": f"{value:.6f}", name: value + error, f"postprocessed_{name}": value}
                rows.append(row)
        return rows

    monkeypatch.setattr(zoo.training.tasks.continuous, "test_rows", rate)
    given = {"model": "conv_lstm", "corpus": "recola", "data_root": str(root), "backend": keras.backend.backend()}
    settings, run = resolve(from_flags(given)), tmp_path / "run"
    source = open_source(settings)
    rows = [row for fold in source.folds for row in rate(None, fold.test, source.protocol, "recola", settings)]
    facts = {"model": "conv_lstm", "recipe": "paper", "corpus": "recola", "protocol": source.protocol.name}
    facts |= {"synthetic": True, "bad_clips": [], "versions": {}, "folds": [{"fold": f.name} for f in source.folds]}
    write_json(run / "config.json", settings.saved())
    write_json(run / "metrics.json", {**facts, **tasks.of("conv_lstm").scores(rows, source.protocol)})
    record = measure(run, Asked(noise=noise, snr_db=(0.0, 20.0)))
    assert record["differs"] == []
    truth = np.array([float(row["truth_valence"]) for row in rows])
    found = table(run / "robustness")
    for name, error in (("clean", 0.1), ("20 dB", 0.1), ("0 dB", 0.5)):
        expected = 2 * truth.var() / (2 * truth.var() + error**2)
        assert float(found[name]["ccc_valence"]) == pytest.approx(expected, abs=1e-4)
        assert float(found[name]["postprocessed_ccc_valence"]) == pytest.approx(1, abs=1e-4)
        assert int(found[name]["n_clips"]) == record["n_clips"] == len({row["clip"] for row in rows})
    assert float(found["0 dB"]["ccc_valence_change"]) < -0.1
    recorded = json.loads((run / "metrics.json").read_text())["dimensions"]["arousal"]["ccc"]
    columns = {"value": "ccc_arousal", "low": "ccc_arousal_low", "high": "ccc_arousal_high"}
    assert {key: float(found["clean"][name]) for key, name in columns.items()} == pytest.approx(recorded)
    assert recorded["low"] < recorded["high"]
    assert max(map(len, on_terminal(record).splitlines())) <= 80


@pytest.mark.backend
def test_a_network_at_a_hundred_decibels_scores_as_clean(emodb, noise, tmp_path, monkeypatch, capsys):
    keras.utils.set_random_seed(0)
    network = with_normalization(np.full(8, -9.0), np.full(8, 9.0), registry.build("fcn", 7, 8, hidden_units=8))
    model = with_frontend(LogMel(bands=8), network)
    run = write_run(tmp_path / "run", emodb, zoo.training.tasks.classification.test_rows, model)
    words = ("--noise", noise, "--snr", "100", "--backend", keras.backend.backend())
    code, out, err = script(monkeypatch, capsys, run, *words)
    assert code == 0 and "100 dB" in out and "100 dB: UA" in err
    clean, faint = ({name: row[name] for name in FIGURES} for row in table(run / "robustness").values())
    assert clean == faint
    assert float(clean["ua"]) == json.loads((run / "metrics.json").read_text())["ua"]["value"]


def script(monkeypatch, capsys, *words):
    monkeypatch.setattr(sys, "argv", ["robustness.py", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    return ended.value.code, *capsys.readouterr()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "nothing to do: expected --noise, --rooms or --microphones"),
        (["--snr", "5"], "--snr 5 needs --noise DIR"),
        (["--noise", "NOISE", "--snr", "loud"], "invalid float value: 'loud'"),
        (["--noise", "NOISE", "--snr", "nan"], "--snr is nan, expected different finite numbers"),
        (["--noise", "NOISE", "--snr", "5", "5"], "--snr is 5 5, expected different"),
        (["--noise", "NOISE", "--snr-level", "loud"], "unknown --snr-level 'loud'. Known: active, all"),
        (["--noise", "NOISE", "--noise-split", "half"], "unknown split of the noise 'half'. Known: files, time"),
        (["--noise", "NOISE", "--by-noise"], "--by-noise is for one ratio"),
        (["--noise", "NOISE", "--snr", "5", "--by-noise", "--rooms", "simulated"], "--by-noise is for noise alone"),
        (["--rooms", "exponential", "--chain"], "--chain needs --rooms and --microphones, found --rooms alone"),
        (["--microphones", "EMPTY", "--chain"], "--chain needs --rooms and --microphones, found --microphones alone"),
        (["--noise", "NOISE", "--chain"], "--chain needs --rooms and --microphones, found neither"),
        (["--noise", "EMPTY"], "EMPTY: expected recordings of noise"),
        (["--noise", "absent"], "absent: expected a folder of recordings of noise, found none"),
        (["--rooms", "EMPTY"], "EMPTY: expected impulse responses"),
        (["--rooms", "simulate"], "--rooms simulate: expected a folder of impulse responses or one of simulated, expo"),
        (["--microphones", "absent"], "absent: expected a folder of impulse responses, found none"),
        (["--noise", "NOISE", "--fold", "9"], "unknown fold of"),
        (["--noise", "NOISE", "--clips", "1"], "--clips is 1, expected 2 to 14"),
        (["--noise", "NOISE", "--seed", "-1"], "--seed is -1, expected 0 or more"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_before_anything_is_written(
    run, noise, tmp_path, monkeypatch, capsys, words, said
):
    (tmp_path / "EMPTY").mkdir()
    places = {"NOISE": noise, "EMPTY": str(tmp_path / "EMPTY")}
    code, _, err = script(monkeypatch, capsys, run, *(places.get(word, word) for word in words))
    assert code == 2 and said in err.replace(str(tmp_path) + "/", "") and "Traceback" not in err
    assert not (run / "robustness").exists()


def test_folders_that_are_no_run_of_emotions_are_refused(run, noise, tmp_path):
    with pytest.raises(UserError, match=r"no run is here.*give a folder that train.py made"):
        measure(tmp_path / "absent", Asked(noise=noise))
    settings = from_flags({"model": "denoising_autoencoder", "corpus": "emodb", "noise": noise})
    write_json(tmp_path / "enhancing" / "config.json", resolve(settings).saved())
    with pytest.raises(UserError, match="expected a run that recognises emotions, found one of denoising_autoencoder"):
        measure(tmp_path / "enhancing", Asked(noise=noise))
    (run / "metrics.json").unlink()
    with pytest.raises(UserError, match="not finished"):
        measure(run, Asked(noise=noise))


def test_noise_that_training_may_have_heard_is_refused(run, noise):
    settings = json.loads((run / "config.json").read_text())
    write_json(run / "config.json", {**settings, "noise": noise})
    with pytest.raises(UserError, match="was trained in noise divided by files: it may have heard"):
        measure(run, Asked(noise=noise, split="time"))
    assert measure(run, Asked(noise=noise, snr_db=(5.0,), split="files"))["differs"] == []


def test_a_silent_clip_is_named(run, noise, monkeypatch):
    def deaf(folder, clips, protocol, corpus, config, hear=None):
        return (
            hear(np.zeros(800, np.float32), clips[0].name) if hear else Ear()(folder, clips, protocol, corpus, config)
        )

    monkeypatch.setattr(zoo.training.tasks.classification, "test_rows", deaf)
    with pytest.raises(UserError, match=r"clip 03a\w+: SNR on silent speech"):
        measure(run, Asked(noise=noise))


def test_rooms_of_training_are_marked(run, rooms):
    settings = json.loads((run / "config.json").read_text())
    write_json(run / "config.json", {**settings, "responses": rooms})
    measure(run, Asked(rooms=rooms))
    assert table(run / "robustness")["clean"]["remarks"] == "synthetic; rooms heard in training"


def trained_on_noise(run, noise, sha256):
    """As train.py --noise leaves a run; older ones have no hash of the recordings."""
    settings, record = (json.loads((run / name).read_text()) for name in ("config.json", "metrics.json"))
    write_json(run / "config.json", {**settings, "noise": noise})
    write_json(run / "metrics.json", {**record, **({"noise_sha256": sha256} if sha256 else {})})


@pytest.mark.parametrize("known", [True, False])
def test_noise_that_is_not_the_trainings_marks_every_output(run, noise, tmp_path, known):
    """A file more in the folder divides all of them otherwise: what was heard in training may now be for testing."""
    trained_on_noise(run, noise, open_noises(Path(noise), RATE_HZ).settings["sha256"] if known else None)
    said = "noise not known to be the training's: recordings of it may have been heard in training"
    same = measure(run, Asked(noise=noise, snr_db=(20.0,)), run / "same")
    assert same["noise_unlike_training"] is not known
    assert (said in table(run / "same")["clean"]["remarks"]) is not known
    grown = tmp_path / "grown"
    grown.mkdir()
    for path in Path(noise).iterdir():
        (grown / path.name).write_bytes(path.read_bytes())
    soundfile.write(grown / "9.wav", np.random.default_rng(0).normal(0, 0.1, RATE_HZ), RATE_HZ)
    heard_in_training = set(open_noises(Path(noise)).names["train"])
    assert heard_in_training & set(open_noises(grown).names["test"]), "or the mark would be needless"
    record = measure(run, Asked(noise=str(grown), snr_db=(20.0,)), run / "grown")
    assert {row["remarks"] for row in table(run / "grown").values()} == {f"synthetic; {said}"}
    assert said in title(record) and said in " ".join(on_terminal(record).split())


def test_without_noise_in_training_or_testing_there_is_nothing_to_mark(run, noise, rooms):
    assert not measure(run, Asked(noise=noise, snr_db=(20.0,)), run / "noise")["noise_unlike_training"]
    trained_on_noise(run, noise, "0" * 64)
    assert not measure(run, Asked(rooms=rooms), run / "rooms")["noise_unlike_training"]


def test_what_the_run_warns_of_is_in_every_output(emodb, ear, noise, tmp_path):
    run = write_run(tmp_path / "run", emodb, ear, warnings=["--weights random: no baseline"])
    record = measure(run, Asked(noise=noise, snr_db=(20.0,)))
    assert record["warnings"] == ["--weights random: no baseline"]
    assert "; --weights random: no baseline" in table(run / "robustness")["20 dB"]["remarks"]
    assert "--weights random: no baseline" in title(record)
    assert "--weights random: no baseline" in " ".join(on_terminal(record).split())
