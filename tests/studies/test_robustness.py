"""Runs scored in noise and rooms: the models' waveforms, the figures, the files kept, the options refused.

A classifier replaces the network. It is right as long as the noise is faint, so that scores are known.
"""

import csv
import io
import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import keras
import numpy as np
import pytest
import soundfile
from rich.console import Console
from scipy.signal import lfilter

import zoo.studies.robustness_report
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
from zoo.runs.folder import fold_folder, read_rows
from zoo.studies.robustness import measure
from zoo.studies.robustness_conditions import Asked, subset
from zoo.studies.robustness_report import print_table, title
from zoo.training.tasks import base as tasks
from zoo.training.tasks import classification, continuous
from zoo.utils.atomic_files import ASIDE, write_csv, write_json

SAVED_RUNS = Path(__file__).parents[1] / "saved_formats" / "runs"
RATE_HZ = 16_000
NOISE_HZ = {f"{hz}.wav": hz for hz in range(1000, 7000, 1000)}  # a noise file each: a tone of its own, and a hiss
LOWEST_DB = 7.5  # in more noise the classifier gives the same class always
FCN = {"model": "fcn", "corpus": "emodb", "fold": "0,1", "bands": 8}
FIGURES = ("ua", "ua_low", "ua_high", "ua_change", "wa", "wa_low", "wa_high", "wa_change")
UNLIKE = "noise not known to be the training's: recordings of it may have been in training"


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


def responses(folder, **taps):
    for name, response in taps.items():
        soundfile.write(folder / f"{name}.wav", np.array(response), RATE_HZ, subtype="FLOAT")
    return str(folder)


@pytest.fixture(scope="module")
def rooms(tmp_path_factory):
    return responses(tmp_path_factory.mktemp("rooms"), echo=[1, *[0] * 800, 0.5], louder=[2.0, 0, 0])


@pytest.fixture(scope="module")
def microphones(tmp_path_factory):
    """One has the name of a room."""
    return responses(tmp_path_factory.mktemp("microphones"), echo=[1, -0.6, 0.2], dull=[1, 0.8])


def snr_of(clean, altered):
    """Of speech that is at most turned down as a whole."""
    gain = altered @ clean / (clean @ clean)
    return 10 * np.log10(np.sum((gain * clean) ** 2) / max(np.sum((altered - gain * clean) ** 2), 1e-12))


class Classifier:
    """Takes the place of a task's `test_rows`; keeps the waveforms by call: (clip, waveform, altered)."""

    def __init__(self):
        self.calls = []
        self.stop_at = None

    def __call__(self, folder, clips, protocol, corpus, config, alter=None):
        if len(self.calls) == self.stop_at:
            raise KeyboardInterrupt
        self.calls.append([])
        rows = []
        for clip in clips:
            waveform = read(clip.path)
            altered = alter(waveform, clip.name) if alter else waveform
            self.calls[-1].append((clip.name, waveform, altered))
            prediction = clip.label if snr_of(waveform, altered) > LOWEST_DB else protocol.classes[0]
            row = {"corpus": corpus, "clip": clip.name, "speaker": clip.speaker}
            rows.append({**row, "truth": clip.label, "prediction": prediction})
        return rows


@pytest.fixture
def classifier(monkeypatch):
    classifier = Classifier()
    monkeypatch.setattr(classification, "test_rows", classifier)
    return classifier


@pytest.fixture(scope="module")
def finished(emodb, tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("finished") / "run", Classifier(), **FCN, data_root=str(emodb))


@pytest.fixture
def run(finished, classifier, tmp_path):
    """A finished run of two folds of a speaker each, with files in place of models: the classifier predicts."""
    return shutil.copytree(finished, tmp_path / "run")


def write_run(folder, test_rows, network=None, **flags):
    settings = resolve(from_flags({**flags, "out": str(folder), "backend": keras.backend.backend()}))
    source, task = open_source(settings), tasks.of(settings.model)
    facts = {"model": settings.model, "recipe": "paper", "corpus": settings.corpus, "bad_clips": [], "versions": {}}
    facts |= {"protocol": source.protocol.name, "synthetic": True, "leakage": [], "notes": []}
    every = []
    for fold in source.folds:
        path = fold_folder(folder, fold) / "model.keras"
        path.parent.mkdir(parents=True)
        network.save(path) if network else path.write_bytes(b"no model")
        rows = test_rows(path.parent, fold.test, source.protocol, settings.corpus, settings)
        write_csv(path.parent / "predictions.csv", rows)
        write_json(path.parent / "metrics.json", {**facts, **task.scores(rows, source.protocol), "fold": fold.name})
        every += rows
    write_json(folder / "config.json", settings.saved())
    folds = [{"fold": fold.name} for fold in source.folds]
    write_json(folder / "metrics.json", {**facts, **task.scores(every, source.protocol), "folds": folds})
    return folder


def change(path, **values):
    write_json(path, {**json.loads(path.read_text()), **values})


def table(path):
    with (path / "scores.csv").open(newline="") as file:
        return {row["condition"]: row for row in csv.DictReader(file)}


def loudest_hz(waveform):
    return round(float(np.argmax(np.abs(np.fft.rfft(waveform, RATE_HZ)))), -3)


def on_terminal(record, width=80):
    console = Console(file=io.StringIO(), width=width)
    print_table(record, console)
    return console.file.getvalue()


def test_scores_fall_where_the_classifier_fails(run, noise):
    """Each of two speakers says each of seven emotions once; in loud noise one of them is predicted always."""
    record = measure(run, Asked(noise=noise))
    rows = table(run / "robustness")
    assert list(rows) == ["clean", "20 dB", "15 dB", "10 dB", "5 dB", "0 dB"] and record["differs"] == []
    for name, row in rows.items():
        fails = name in ("5 dB", "0 dB")
        assert [float(row[key]) for key in ("ua", "wa")] == pytest.approx([1 / 7 if fails else 1.0] * 2)
        assert [float(row[key]) for key in ("ua_change", "wa_change")] == pytest.approx([-6 / 7 if fails else 0.0] * 2)
        assert row["ua_low"] == row["ua_high"] == row["ua"], "both speakers are alike"
    facts = {"condition": "5 dB", "snr_db": "5.0", "room": "", "microphone": "", "noise": "", "n_clips": "14"}
    assert list(rows["5 dB"]) == [*facts, "n_speakers", *FIGURES, "remarks"]
    assert facts.items() <= rows["5 dB"].items() and rows["5 dB"]["remarks"] == "synthetic"
    written = json.loads((run / "robustness" / "robustness.json").read_text())
    assert written == record and written["conditions"][-1]["figures"]["ua"]["change"] == pytest.approx(-6 / 7)
    assert (run / "robustness" / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_waveforms_have_the_chosen_ratio_to_noise_kept_for_testing(run, noise, classifier):
    record = measure(run, Asked(noise=noise, snr_db=(-3.0, 12.0), level="all"))
    assert len(record["noise_files"]) == 2 and record["noise"] == noise
    kept_hz = {NOISE_HZ[name] for name in open_noises(Path(noise)).names["test"]}
    clean, *noisy = classifier.calls[::2], classifier.calls[2:4], classifier.calls[4:6]
    assert all(altered is waveform for _, waveform, altered in clean[0])
    for snr_db, calls in zip((12, -3), noisy, strict=True):
        assert len({name for call in calls for name, *_ in call}) == 14
        found_hz = set()
        for _, waveform, altered in (item for call in calls for item in call):
            assert snr_of(waveform, altered) == pytest.approx(snr_db, abs=0.5)
            found_hz.add(loudest_hz(altered - waveform * (altered @ waveform) / (waveform @ waveform)))
        assert found_hz == kept_hz


def test_rooms_microphones_and_chains_are_alone_and_at_each_ratio(
    run, noise, rooms, microphones, classifier, monkeypatch
):
    """Against SciPy's filter by the responses; a microphone and a room of one name are two responses."""
    save = mock.Mock()
    monkeypatch.setattr(zoo.studies.robustness_report, "save", save)
    asked = Asked(noise=noise, snr_db=(10.0,), rooms=rooms, microphones=microphones, fold="0", chain=True)
    record = measure(run, asked)
    alone = ["room echo", "room louder", "microphone dull", "microphone echo"]
    chains = [f"microphone {one} + room {room}" for one in ("dull", "echo") for room in ("echo", "louder")]
    expected = ["clean", "10 dB", *(f"{path}{more}" for path in alone + chains for more in ("", " + 10 dB"))]
    assert [row["condition"] for row in record["conditions"]] == expected and record["fold"] == "0"
    altered = {name: call[0][2] for name, call in zip(expected, classifier.calls, strict=True)}
    waveform = classifier.calls[0][0][1].astype(float)
    room, microphone = np.r_[1, np.zeros(800), 0.5], [1, -0.6, 0.2]
    for path, response in (
        ("room louder", [1]),
        ("room echo", room),
        ("microphone echo", microphone),
        ("microphone echo + room echo", np.convolve(room, microphone)),
    ):
        through = lfilter(response, [1], waveform)
        through *= np.sqrt(np.sum(waveform**2) / np.sum(through**2))
        np.testing.assert_allclose(altered[path], through, atol=1e-4 * np.abs(through).max())
        assert 9 < snr_of(altered[path], altered[f"{path} + 10 dB"]) < 11

    row = table(run / "robustness")["microphone echo + room echo + 10 dB"]
    assert (row["microphone"], row["room"], row["snr_db"], row["n_speakers"]) == ("echo", "echo", "10.0", "1")
    assert row["ua_low"] == "" and "no interval: one speaker" in on_terminal(record, 120)
    assert all(name in " ".join(on_terminal(record, 120).split()) for name in expected)
    figure, path, *_ = save.call_args.args
    assert path.name == "heatmap.png"
    lines = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert lines == ["as recorded", *alone, *chains]


def test_chains_are_added_to_a_finished_grid_and_only_on_demand(run, rooms, microphones, classifier):
    asked = {"rooms": rooms, "microphones": microphones, "fold": "0"}
    before = measure(run, Asked(**asked))["conditions"]
    assert [row["condition"] for row in before if row["room"] and row["microphone"]] == [] and len(before) == 5
    classifier.calls.clear()
    after = measure(run, Asked(**asked, chain=True))
    assert after["conditions"][:5] == before and len(classifier.calls) == len(after["conditions"]) - 5 == 4
    assert after["chain"] is True and measure(run, Asked(**asked))["conditions"] == before


def test_three_rooms_are_drawn_by_the_seed(run):
    record, again, other = (
        measure(run, Asked(rooms="exponential", seed=seed, fold="0"), run / name)
        for name, seed in (("a", 0), ("again", 0), ("other", 1))
    )
    assert [row["room"] for row in record["conditions"]] == [None, "small", "medium", "large"]
    assert "reverberation times: small 0.25 s" in on_terminal(record, 120)
    assert again["settings"] == record["settings"]
    assert other["settings"]["rooms"] != record["settings"]["rooms"]


def test_simulated_rooms_name_the_extra_that_is_absent(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyroomacoustics", None)
    with pytest.raises(UserError, match=r"pip install 'speech-emotion-zoo\[rooms\]'. Or take exponential ones"):
        measure(run, Asked(rooms="simulated"))
    assert not (run / "robustness").exists()


def test_each_recording_of_noise_by_itself(run, noise, classifier):
    record = measure(run, Asked(noise=noise, snr_db=(-10.0,), by_noise=True))
    names = record["noise_files"]
    assert [row["noise"] for row in record["conditions"]] == [None, None, *names]
    assert [row["condition"] for row in record["conditions"]][:3] == ["clean", "-10 dB", f"-10 dB of {names[0]}"]
    for name, number in zip(names, (4, 6), strict=True):
        altered = [altered for call in classifier.calls[number : number + 2] for *_, altered in call]
        assert {loudest_hz(waveform) for waveform in altered} == {NOISE_HZ[name]}
    assert (run / "robustness-by-noise" / "noises.png").read_bytes().startswith(b"\x89PNG")


def test_the_seed_decides_and_neither_order_nor_folder(run, noise, classifier):
    altered = []
    for number, (order, seed) in enumerate([((0.0, 15.0), 0), ((15.0, 0.0), 0), ((0.0,), 0), ((0.0,), 1)]):
        measure(run, Asked(noise=noise, snr_db=order, seed=seed, fold="0"), run / str(number))
        altered.append(np.concatenate([waveform for *_, waveform in classifier.calls[-1]]))  # at 0 dB, which is last
    np.testing.assert_array_equal(altered[0], altered[1])
    np.testing.assert_array_equal(altered[0], altered[2])
    assert not np.array_equal(altered[0], altered[3])
    assert table(run / "0") == table(run / "1")


def test_an_interrupted_grid_goes_on_where_it_was(run, noise, classifier):
    asked = Asked(noise=noise)
    classifier.stop_at = 5  # in the middle of the third condition: each takes a call per fold
    with pytest.raises(KeyboardInterrupt):
        measure(run, asked)
    done = run / "robustness" / "conditions"
    assert len(list(done.iterdir())) == 2 and not (run / "robustness" / "scores.csv").exists()
    (done / f"{ASIDE}half.99999999.json").write_text("{")  # as kill -9 leaves it
    classifier.stop_at = None
    measure(run, asked)
    assert len(classifier.calls) == 5 + 2 * 4, "six conditions, of which two were finished"
    assert len(list(done.iterdir())) == 6
    resumed = table(run / "robustness")
    measure(run, asked, run / "whole")
    assert table(run / "whole") == resumed
    n_calls = len(classifier.calls)
    assert measure(run, asked)["differs"] == [] and len(classifier.calls) == n_calls


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
    for message, changed in changes.items():
        with pytest.raises(UserError, match=f"{message}.*another --out"):
            measure(run, Asked(**{**asked, **changed}))
    (run / "fold-0-03" / "model.keras").write_bytes(b"another model")
    with pytest.raises(UserError, match="models_sha256 was"):
        measure(run, Asked(**asked))
    assert (run / "robustness" / "robustness.json").read_bytes() == before
    with pytest.raises(UserError, match=r"expected a new folder, found config\.json"):
        measure(run, Asked(**asked), run)


def test_clean_figures_that_are_not_the_recorded_ones_are_named(run, noise, script):
    ua = json.loads((run / "metrics.json").read_text())["ua"]
    change(run / "metrics.json", ua={**ua, "value": 0.5})
    code, out, err = script("robustness.py", run, "--noise", noise, "--snr", "20")
    assert code == 1 and "NOT AS RECORDED" in err, "as soon as it is known"
    assert "NOT AS RECORDED" in out and "ua.value: 0.5 was recorded, 1.0 found" in out
    assert {row["remarks"] for row in table(run / "robustness").values()} == {"synthetic; NOT AS RECORDED"}


def test_a_subset_has_clips_of_every_speaker_and_is_marked(run, noise, classifier):
    record, again, other = (
        measure(run, Asked(noise=noise, snr_db=(5.0,), n_clips=5, seed=seed), run / name)
        for name, seed in (("a", 0), ("again", 0), ("other", 1))
    )
    assert record["differs"] == [], "against the recorded predictions of these clips"
    speakers = [name[:2] for call in classifier.calls[:2] for name, *_ in call]
    assert sorted(map(speakers.count, set(speakers))) == [2, 3]
    assert all("subset of 5 of 14 test clips" in row["remarks"] for row in table(run / "a").values())
    assert "subset of 5 of 14 test clips" in " ".join(on_terminal(record).split())
    assert again["settings"] == record["settings"]
    assert other["settings"]["clips"]["sha256"] != record["settings"]["clips"]["sha256"]


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
    names = ["a0", "a1", *(f"b{number}" for number in range(8))]
    clips = tuple(Clip(Path(name), name, name[0], "x") for name in names)
    (fold,) = subset([Fold("0-x", (), (), clips)], 5, 0)
    assert [clip.speaker for clip in fold.test] == ["a", *"bbbb"], "of two and of eight clips"


def test_the_terminal_shows_marks_and_every_number_in_eighty_columns(run, noise):
    leak, warning = "Fold 0: 2 of 2 speakers on two sides", "--weights random: no baseline"
    notes = ["Session [5]: expected 9 clips, found 0"]
    change(run / "metrics.json", leakage=[leak], notes=notes, warnings=[warning])
    record = measure(run, Asked(noise=noise))
    text = on_terminal(record)
    assert max(map(len, text.splitlines())) <= 80 and "…" not in text
    shown = " ".join(text.split())
    assert "on SYNTHETIC emodb" in shown and leak in shown and "Session [5]: expected 9 clips" in shown
    assert "not speaker-independent" in shown and "incomplete corpus" in shown
    assert "14.3 (−85.7) [14.3, 14.3]" in shown and "100.0 [100.0, 100.0]" in shown
    assert "2 recordings kept for testing" in shown
    assert record["warnings"] == [warning] and warning in title(record) and warning in shown
    assert f"; {warning}" in table(run / "robustness")["20 dB"]["remarks"]


def test_ratings_are_scored_before_and_after_post_processing(noise, tmp_path, monkeypatch):
    """A CCC by hand: predictions are ratings plus a constant, which noise makes larger."""
    root = synthesize("recola", tmp_path / "RECOLA", 8, seconds=(1, 1.2))

    def rate(folder, clips, protocol, corpus, config, alter=None):
        rows = []
        for clip in clips:
            waveform = read(clip.path)
            error = 0.5 if alter and snr_of(waveform, alter(waveform, clip.name)) < LOWEST_DB else 0.1
            for frame, values in enumerate(clip.trace.values):
                row = {"corpus": corpus, "fold": "0-x", "clip": clip.name, "speaker": clip.speaker, "time": f"{frame}"}
                for name, value in zip(protocol.targets, values, strict=True):
                    row |= {f"truth_{name}": f"{value:.6f}", name: value + error, f"postprocessed_{name}": value}
                rows.append(row)
        return rows

    monkeypatch.setattr(continuous, "test_rows", rate)
    run = write_run(tmp_path / "run", rate, model="conv_lstm", corpus="recola", data_root=str(root))
    record = measure(run, Asked(noise=noise, snr_db=(0.0, 20.0)))
    assert record["differs"] == []
    truth = np.array([float(row["truth_valence"]) for fold in run.glob("fold-*") for row in read_rows(fold)])
    found = table(run / "robustness")
    for name, error in (("clean", 0.1), ("20 dB", 0.1), ("0 dB", 0.5)):
        expected = 2 * truth.var() / (2 * truth.var() + error**2)
        assert float(found[name]["ccc_valence"]) == pytest.approx(expected, abs=1e-4)
        assert float(found[name]["postprocessed_ccc_valence"]) == pytest.approx(1, abs=1e-4)
        assert int(found[name]["n_clips"]) == record["n_clips"]
    assert float(found["0 dB"]["ccc_valence_change"]) < -0.1
    recorded = json.loads((run / "metrics.json").read_text())["dimensions"]["arousal"]["ccc"]
    columns = ("ccc_arousal_low", "ccc_arousal", "ccc_arousal_high")
    figures = [float(found["clean"][name]) for name in columns]
    assert figures == pytest.approx([recorded[key] for key in ("low", "value", "high")])
    assert figures == sorted(figures)
    assert max(map(len, on_terminal(record).splitlines())) <= 80


@pytest.mark.backend
def test_a_network_at_a_hundred_decibels_scores_as_clean(emodb, noise, tmp_path, script):
    keras.utils.set_random_seed(0)
    network = with_normalization(np.full(8, -9.0), np.full(8, 9.0), registry.build("fcn", 7, 8, hidden_units=8))
    model = with_frontend(LogMel(bands=8), network)
    run = write_run(tmp_path / "run", classification.test_rows, model, **FCN, data_root=str(emodb))
    code, out, err = script("robustness.py", run, "--noise", noise, "--snr", 100, "--backend", keras.backend.backend())
    assert code == 0 and "100 dB" in out and "100 dB: UA" in err
    clean, faint = ({name: row[name] for name in FIGURES} for row in table(run / "robustness").values())
    assert clean == faint
    assert float(clean["ua"]) == json.loads((run / "metrics.json").read_text())["ua"]["value"]


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the run is TensorFlow's")
def test_a_finished_run_does_not_need_the_run_it_was_built_on(noise, tmp_path, script, monkeypatch):
    """A saved deep_spectrum_svm contains the network of --from-run; that run's folder was removed."""
    run = shutil.copytree(SAVED_RUNS / "joint", tmp_path / "joint")
    assert not Path(json.loads((run / "config.json").read_text())["from_run"]).exists()
    code, out, err = script("robustness.py", run, "--noise", noise, "--snr", "10", "--clips", "1")
    assert code == 0 and "10 dB" in out, err
    samples = np.random.default_rng(0).integers(-9000, 9000, 2 * RATE_HZ).astype("<i2")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(samples.tobytes())))
    code, out, err = script("predict.py", run, "--stream")
    assert code == 0 and "trained on synthetic" in out, err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "nothing to do: expected --noise, --rooms or --microphones"),
        ("--snr 5", "--snr 5 needs --noise DIR"),
        ("--noise NOISE --snr nan", "--snr is nan, expected different finite numbers"),
        ("--noise NOISE --snr 5 5", "--snr is 5 5, expected different"),
        ("--noise NOISE --snr-level loud", "unknown --snr-level 'loud'. Known: active, all"),
        ("--noise NOISE --noise-split half", "unknown split of the noise 'half'. Known: files, joined, time"),
        ("--noise NOISE --by-noise", "--by-noise needs --noise DIR and one ratio, found no --snr"),
        ("--noise NOISE --snr 5 --by-noise --rooms simulated", "--by-noise is for noise alone"),
        ("--rooms exponential --chain", "--chain needs --rooms and --microphones, found --rooms alone"),
        ("--noise EMPTY", "EMPTY: expected recordings of noise"),
        ("--rooms EMPTY", "EMPTY: expected impulse responses"),
        ("--rooms simulate", "--rooms simulate: expected a folder of impulse responses or one of simulated, expo"),
        ("--noise NOISE --fold 9", "unknown fold of"),
        ("--noise NOISE --clips 1", "--clips is 1, expected 2 to 14"),
        ("--noise NOISE --seed -1", "--seed is -1, expected 0 or more"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_written(run, noise, tmp_path, script, words, said):
    (tmp_path / "EMPTY").mkdir()
    code, _, err = script("robustness.py", run, *words.replace("NOISE", noise).split())
    assert code == 2 and said in err and "Traceback" not in err
    assert not (run / "robustness").exists()


def test_other_folders_than_finished_runs_of_emotions_and_noise_of_training_are_refused(run, noise, tmp_path):
    with pytest.raises(UserError, match=r"no run is here.*give a folder that train.py made"):
        measure(tmp_path / "absent", Asked(noise=noise))
    with pytest.raises(UserError, match="expected a run that recognises emotions, found one of denoising_autoencoder"):
        measure(SAVED_RUNS / "enhancement", Asked(noise=noise))
    change(run / "config.json", noise=noise)
    with pytest.raises(UserError, match="was trained in noise divided by files: test noise may have been in training"):
        measure(run, Asked(noise=noise, split="time"))
    assert measure(run, Asked(noise=noise, snr_db=(5.0,), split="files"))["differs"] == []
    (run / "metrics.json").unlink()
    with pytest.raises(UserError, match="not finished"):
        measure(run, Asked(noise=noise))


def test_a_silent_clip_is_named(run, noise, classifier, monkeypatch):
    def silent(folder, clips, *given):
        return given[-1](np.zeros(800, np.float32), clips[0].name) if given[-1] else classifier(folder, clips, *given)

    monkeypatch.setattr(classification, "test_rows", silent)
    with pytest.raises(UserError, match=r"clip 03a\w+: SNR on silent speech"):
        measure(run, Asked(noise=noise))


@pytest.mark.parametrize("known", [True, False])
def test_noise_that_is_not_the_trainings_marks_every_output(run, noise, tmp_path, known):
    """A file more in the folder divides all of them otherwise: training noise may now be for testing.

    Older runs have no hash of the recordings.
    """
    change(run / "config.json", noise=noise)
    if known:
        change(run / "metrics.json", noise_sha256=open_noises(Path(noise)).settings["sha256"])
    same = measure(run, Asked(noise=noise, snr_db=(20.0,)), run / "same")
    assert same["noise_unlike_training"] is not known
    assert (UNLIKE in table(run / "same")["clean"]["remarks"]) is not known
    grown = shutil.copytree(noise, tmp_path / "grown")
    soundfile.write(grown / "9.wav", np.random.default_rng(0).normal(0, 0.1, RATE_HZ), RATE_HZ)
    in_training = set(open_noises(Path(noise)).names["train"])
    assert in_training & set(open_noises(grown).names["test"]), "or the mark would be needless"
    record = measure(run, Asked(noise=str(grown), snr_db=(20.0,)), run / "grown")
    assert {row["remarks"] for row in table(run / "grown").values()} == {f"synthetic; {UNLIKE}"}
    assert UNLIKE in title(record) and UNLIKE in " ".join(on_terminal(record).split())


def test_rooms_of_training_are_marked_and_noise_only_where_there_is_some(run, noise, rooms):
    assert not measure(run, Asked(noise=noise, snr_db=(20.0,)), run / "noise")["noise_unlike_training"]
    change(run / "config.json", noise=noise, responses=rooms)
    change(run / "metrics.json", noise_sha256="0" * 64)
    measure(run, Asked(rooms=rooms))
    assert table(run / "robustness")["clean"]["remarks"] == "synthetic; rooms of the training"
