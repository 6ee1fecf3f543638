"""Train, test and use a run of a network for classes: files of its folder, folds, figures, resuming."""

import hashlib
import json
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import keras
import numpy as np
import pytest
import sklearn.metrics
from predictions import predict_run
from quick_check import checked_with

import zoo.training.train
from zoo import registry
from zoo.config.flags import from_flags
from zoo.data.audio.read import read
from zoo.data.audio.scan import audio_sha256
from zoo.data.synthetic.corpora import synthesize
from zoo.errors import UserError
from zoo.frontends.compose import with_frontend, with_normalization
from zoo.runs import training_clips
from zoo.runs.folder import read_record, read_rows
from zoo.training.evaluate import differences, evaluate_run
from zoo.training.fit import fit
from zoo.training.train import train
from zoo.utils.atomic_files import ASIDE, write_json

FOLDS = {"0": "fold-0-03", "1": "fold-1-08"}  # EmoDB's first two speakers, each tested once


def settings(root, out, corpus="emodb", **changes):
    given = {"model": "fcn", "corpus": corpus, "fold": "0", "epochs": 1, "bands": 8, "option": {"hidden_units": 8}}
    given |= {"data_root": str(root), "out": str(out), "cache_dir": f"{out}-cache", "backend": keras.backend.backend()}
    return from_flags({**given, **changes})


@pytest.fixture(scope="module")
def emodb(tmp_path_factory):
    return synthesize("emodb", tmp_path_factory.mktemp("twin") / "emodb", 70, seconds=(0.3, 0.4))


@pytest.fixture(scope="module")
def trained(emodb, tmp_path_factory):
    """The folder of a run of two folds, and by fold the hashes of the files it was trained and validated on."""
    seen = {}

    def watched(task, *arguments):
        seen[task.folder.name] = {example.features.path.stem for example in (*task.train, *task.validation)}
        return fit(task, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zoo.training.train, "fit", watched)
        # Crops of one length: few shapes to compile.
        changes = {"fold": "0,1", "batch_size": 14, "crop_seconds": 0.2, "learning_rate": 1e-2}
        run = train(settings(emodb, tmp_path_factory.mktemp("trained") / "run", **changes))
    return run.folder, seen


@pytest.mark.backend
def test_folder_holds_everything_and_no_leftovers(trained):
    run, _ = trained
    summaries = {"metrics.json", "predictions.csv", "confusion.png", "tables.tex"}
    own = {"config.json", "data.json", "versions.json", ".lock"}
    assert {path.name for path in run.iterdir()} == {*summaries, *own, *FOLDS.values()}
    for name in FOLDS.values():
        assert {path.name for path in (run / name).iterdir()} == {
            *summaries,
            *("model.keras", "history.csv", "curves.png", "training_clips.json"),
        }
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in run.rglob("*.png"))
    assert [fold["fold"] for fold in read_record(run)["folds"]] == ["0-03", "1-08"]


@pytest.mark.backend
def test_no_test_speaker_was_trained_on(trained, emodb):
    """By the files that training got; the first two characters of an EmoDB file name are the speaker."""
    run, seen = trained
    speaker_of = {hashlib.sha256(path.read_bytes()).hexdigest(): path.name[:2] for path in emodb.glob("wav/*.wav")}
    assert len(speaker_of) == 70 and set(seen) == set(FOLDS.values())
    for name, hashes in seen.items():
        tested = {row["clip"][:2] for row in read_rows(run / name)}
        assert tested == {name[-2:]} == set(read_record(run / name)["test_speakers"])
        assert {speaker_of[file] for file in hashes} == set(speaker_of.values()) - tested


@pytest.mark.backend
def test_folds_keep_hashes_of_the_clips_that_they_were_trained_on(trained, emodb):
    """By the audio of every file: a tested speaker's are on no side, each other one's on one."""
    run, _ = trained
    audio = {path.name[:2]: audio_sha256(read(path)) for path in sorted(emodb.glob("wav/*.wav"))}
    for name in FOLDS.values():
        known, record = training_clips.of_folds([run / name]), read_record(run / name)
        assert (len(known.train), len(known.validation)) == (record["train_clips"], record["validation_clips"])
        assert {speaker for speaker, digest in audio.items() if not known.side_of(digest)} == {name[-2:]}
    both = training_clips.of_folds([run / name for name in FOLDS.values()])
    assert all(both.side_of(digest) for digest in audio.values())


@pytest.mark.backend
def test_figures_are_those_of_scikit_learn(trained):
    run, _ = trained
    for folder, n_clips in ((run, 14), *((run / name, 7) for name in FOLDS.values())):
        rows, record = read_rows(folder), read_record(folder)
        truth, prediction = [row["truth"] for row in rows], [row["prediction"] for row in rows]
        assert len({row["clip"] for row in rows}) == len(rows) == record["n_clips"] == n_clips
        assert record["wa"]["value"] == pytest.approx(sklearn.metrics.accuracy_score(truth, prediction))
        assert record["ua"]["value"] == pytest.approx(sklearn.metrics.balanced_accuracy_score(truth, prediction))
        macro_f1 = sklearn.metrics.f1_score(truth, prediction, average="macro", zero_division=0)
        assert record["macro_f1"] == pytest.approx(macro_f1)
        expected = sklearn.metrics.confusion_matrix(truth, prediction, labels=record["classes"])
        np.testing.assert_array_equal(record["confusion"], expected)
        for row in rows:
            shares = {name: float(row[f"p_{name}"]) for name in record["classes"]}
            assert sum(shares.values()) == pytest.approx(1, abs=1e-5)
            assert shares[row["prediction"]] == max(shares.values())
    assert read_rows(run) == [row for name in FOLDS.values() for row in read_rows(run / name)]


@pytest.mark.backend
def test_evaluating_again_changes_nothing(trained):
    run, _ = trained
    summary, changed = evaluate_run(run)
    assert changed == [] and summary["confusion"] == read_record(run)["confusion"]


@pytest.mark.backend
def test_prediction_is_that_of_the_test_and_averages_the_folds(trained, emodb):
    run, _ = trained
    spread = []
    for number, name in FOLDS.items():
        rows = read_rows(run / name)
        paths = [emodb / "wav" / f"{row['clip']}.wav" for row in rows]
        single = {fold: list(predict_run(run, paths, fold)) for fold in FOLDS}
        for row, result in zip(rows, single[number], strict=True):
            tested = {key.removeprefix("p_"): float(share) for key, share in row.items() if key.startswith("p_")}
            assert result["probabilities"] == pytest.approx(tested, abs=1e-4)
        for result, *alone in zip(predict_run(run, paths), *single.values(), strict=True):
            shares = [list(one["probabilities"].values()) for one in alone]
            np.testing.assert_allclose(list(result["probabilities"].values()), np.mean(shares, axis=0), atol=2e-6)
            assert result["emotion"] == max(result["probabilities"], key=result["probabilities"].get)
            spread.append(np.ptp(shares, axis=0).max())
    assert max(spread) > 1e-3, "the folds must differ for their mean to say anything"


@pytest.mark.backend
def test_a_synthetic_run_is_marked_everywhere(trained, emodb):
    run, _ = trained
    for folder in (run, *(run / name for name in FOLDS.values())):
        assert read_record(folder)["synthetic"] is True
        assert {row["corpus"] for row in read_rows(folder)} == {"synthetic emodb"}
    clip = next(emodb.glob("wav/*.wav"))
    assert {row["trained_on"] for fold in (None, "0") for row in predict_run(run, [clip], fold)} == {"synthetic emodb"}


def test_prediction_needs_every_folds_model(trained, emodb, tmp_path):
    run = shutil.copytree(trained[0], tmp_path / "run")
    (run / FOLDS["1"] / "model.keras").unlink()
    clip = next(emodb.glob("wav/*.wav"))
    with pytest.raises(UserError, match=f"{FOLDS['1']}.*no trained model is there"):
        list(predict_run(run, [clip]))
    assert len(list(predict_run(run, [clip], fold="0"))) == 1


@pytest.fixture
def untrained(monkeypatch):
    """Replaces training by an untrained network; returns how often each fold was trained."""
    calls = Counter()

    def stand_in(task, config, progress):
        calls[task.name] += 1
        network = registry.build(config.model, len(task.outputs), config.bands, **config.option)
        model = with_normalization(np.full(config.bands, -9.0), np.full(config.bands, 9.0), network)
        task.folder.mkdir(exist_ok=True)
        with_frontend(task.frontend, model).save(task.folder / "model.keras")
        row = dict.fromkeys(("loss", "validation_loss", "validation_ua", "validation_wa", "seconds"), 0.5)
        return [{"epoch": 1, **row}]

    monkeypatch.setattr(zoo.training.train, "fit", stand_in)
    return calls


def test_leakage_is_refused_or_marked(untrained, tmp_path):
    root = synthesize("ravdess", tmp_path / "ravdess", 192, seconds=(0.2, 0.25))
    leaky = settings(root, tmp_path / "leaky", "ravdess", protocol="ravdess-random-67")
    with pytest.raises(UserError, match=r"24 of 24 speakers on two sides: .*--allow-leakage continues and marks"):
        train(leaky)
    assert not untrained and not (tmp_path / "leaky" / "metrics.json").exists()

    run = train(replace(leaky, allow_leakage=True, out=str(tmp_path / "allowed")))
    for folder in (run.folder, run.folder / "fold-0-random"):
        (finding,) = read_record(folder)["leakage"]
        assert finding.startswith("Fold 0-random: 24 of 24 speakers on two sides")
        assert read_record(folder)["speaker_independent"] is False
    assert "not speaker-independent" in run.title() and "not speaker-independent" in run.title("0-random")
    assert "SYNTHETIC" in run.title()


def test_a_run_is_called_by_its_name_and_may_be_called_otherwise_later(untrained, emodb, tmp_path):
    given = settings(emodb, tmp_path / "run", fold="0", name="Our_net & 50 %")
    run = train(given)
    assert run.title("0-03").startswith("Our_net & 50 % on SYNTHETIC emodb, emodb-speakers, fold 0-03")
    assert read_record(run.folder)["name"] == "Our_net & 50 %"
    tables = (run.folder / "tables.tex").read_text()
    assert r"\caption{Our\_net \& 50 \% on SYNTHETIC emodb" in tables and r"\label{tab:classes-our-net-50-on-" in tables
    again = train(replace(given, name=""), resume=True)
    assert again.title().startswith("fcn (paper) on") and sum(untrained.values()) == 1


CHANGES = {
    "another recording": lambda wav: shutil.copy(wav / "15a01Wa.wav", wav / "11a01Wa.wav"),
    "a clip less": lambda wav: (wav / "11a01Wa.wav").unlink(),
    "another label": lambda wav: (wav / "11a01Wa.wav").rename(wav / "11a02Fa.wav"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_resume_on_other_data_is_refused(untrained, emodb, tmp_path, change):
    root = shutil.copytree(emodb, tmp_path / "emodb")
    given = settings(root, tmp_path / "run")
    run = train(given).folder
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    CHANGES[change](root / "wav")
    with pytest.raises(UserError, match=r"are not those this run was started on \(data.json\).*another --out"):
        train(given, resume=True)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_resume_finds_moved_data_keeps_finished_folds_and_clears_unfinished_files_only(untrained, emodb, tmp_path):
    given = settings(emodb, tmp_path / "run")
    done = train(given)
    run = done.folder
    assert read_record(run)["leakage"] == [] and "speaker-independent" not in done.title()
    mine = [run / ".notes", run / ".writing.md", run / "fold-0-03" / ".hidden" / "draft.txt", run / "plot.svg"]
    unfinished = [run / f"{ASIDE}metrics.99999998.json", run / "fold-0-03" / f"{ASIDE}model.99999999.keras"]
    for path in (*mine, *unfinished):
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    moved = shutil.copytree(emodb, tmp_path / "moved")
    train(replace(given, data_root=str(moved)), resume=True)
    assert untrained == {"0-03": 1}
    assert all(path.read_text() == "mine" for path in mine)
    assert not any(path.exists() for path in unfinished)


HOLD = "import fcntl, sys; file = open(sys.argv[1], 'w'); fcntl.flock(file, fcntl.LOCK_EX); print('held', flush=True)"


def test_another_process_at_work_on_the_run_is_refused(untrained, emodb, tmp_path):
    given = settings(emodb, tmp_path / "run")
    write_json(tmp_path / "run" / "config.json", zoo.training.train.resolve(given).saved())
    command = [sys.executable, "-c", f"{HOLD}; sys.stdin.read()", str(tmp_path / "run" / ".lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UserError, match=rf"{tmp_path / 'run'}: another process is at work on this run; .*--out"):
            train(given, resume=True)
        assert not untrained
        holder.kill()  # the system lets go of a killed process's lock
    assert train(given, resume=True).folder == tmp_path / "run"


def test_differences_are_found_at_any_depth_beyond_rounding():
    before = {"ua": {"value": 0.5, "low": None}, "n": 3, "gone": 1}
    after = {"ua": {"value": 0.500009, "low": 0.1}, "n": 3, "new": 2}
    assert differences("all", before, after) == [
        "all.ua.low: None was recorded, 0.1 found",
        "all.gone: 1 was recorded, None found",
        "all.new: None was recorded, 2 found",
    ]
    assert differences("ua", 0.5, 0.50002, "{name} was {before}, now {after}") == ["ua was 0.5, now 0.50002"]
    assert differences("", {"a": {}}, {"a": {}}) == []


@pytest.mark.slow
def test_the_first_commands_of_the_readme(script, tmp_path):
    """On a folder with IEMOCAP's layout that only its marker file declares synthetic."""
    root, run, exported = tmp_path / "IEMOCAP_full_release", tmp_path / "run", tmp_path / "exported"
    commands = (
        ("synthesize.py", "--corpus", "iemocap", "--out", root, "--clips", 50),
        (
            *("train.py", "--model", "attention_blstm_fcn", "--corpus", "iemocap", "--data-root", root, "--out", run),
            *("--fold", 0, "--epochs", 1, "--bands", 8, "--crop-seconds", 0.5, "--batch-size", 50),
            *("--option", "recurrent_units=4", "--option", "hidden_units=8"),
        ),
        ("export.py", run, "--out", exported),
    )
    with checked_with():
        for command in commands:
            code, _, errors = script(*command)
            assert code == 0, errors
    record = read_record(run)
    assert (record["protocol"], record["synthetic"]) == ("iemocap-impro-4 v1", True)
    assert [fold["fold"] for fold in record["folds"]] == ["0-Ses01F"]
    assert (run / "fold-0-Ses01F" / "model.keras").is_file()

    clip = next(root.rglob("Ses01F*.wav"))
    code, answered, errors = script("predict.py", exported, clip, "--json")
    assert code == 0, errors
    (expected,) = predict_run(run, [clip])
    assert json.loads(answered)["probabilities"] == pytest.approx(expected["probabilities"], abs=1e-4)
