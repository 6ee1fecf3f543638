"""Run folders that cannot be written, are in use or hold damaged files, and training that fails."""

import json
import shutil
import zipfile

import keras
import numpy as np
import pytest
import soundfile
from spoil import RATE_HZ, SMALL, has, tone, truncate

from zoo import registry
from zoo.config.flags import from_flags
from zoo.errors import UserError
from zoo.frontends.compose import with_normalization
from zoo.runs.dataset import resolve
from zoo.runs.model_file import load_model
from zoo.training.train import train
from zoo.utils.atomic_files import write_json


def words_for(twins, out):
    return [*SMALL, "--data-root", twins["emodb"], "--out", out]


def saved_run(folder, twins, **changes):
    """The folder of a run that was interrupted early."""
    given = {"model": "fcn", "corpus": "emodb", "fold": "0", "epochs": 1, "bands": 8, "out": str(folder)}
    given |= {"data_root": str(twins["emodb"]), "backend": keras.backend.backend(), **changes}
    write_json(folder / "config.json", resolve(from_flags(given)).saved())
    return folder


def test_out_that_is_a_file_or_below_one(refused, twins, tmp_path):
    (tmp_path / "file").write_text("mine")
    message = refused("train.py", *words_for(twins, tmp_path / "file"))
    assert has(message, f"{tmp_path / 'file'} exists already", "another --out")
    message = refused("train.py", *words_for(twins, tmp_path / "file" / "run"))
    assert has(message, tmp_path / "file" / "run", "cannot be written (Not a directory)", "choose another folder")
    assert (tmp_path / "file").read_text() == "mine"


def test_full_disk(refused, twins, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        message = refused("train.py", *words_for(twins, tmp_path / "run"))
    assert has(message, tmp_path / "run" / "config.json", "cannot be written (No space left on device)", "free space")
    assert not (tmp_path / "run").exists()


def test_disk_that_fills_while_training_and_is_freed(refused, script, twins, tmp_path):
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))  # of any file: features fit, weights do not
    try:
        message = refused("train.py", *words_for(twins, tmp_path / "run"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    fold = tmp_path / "run" / "fold-0-03"
    assert has(message, fold / "state.npz", "cannot be written (File too large); free space there")
    assert list(fold.iterdir()) == []
    words = [*words_for(twins, tmp_path / "run"), "--backend", keras.backend.backend(), "--resume"]
    code, out, _ = script("train.py", *words)
    assert code == 0 and f"results: {tmp_path / 'run'}" in out and (fold / "model.keras").is_file()


def test_cache_that_cannot_be_written(refused, twins, tmp_path):
    (tmp_path / "file").touch()
    message = refused("train.py", *words_for(twins, tmp_path / "run"), "--cache-dir", tmp_path / "file")
    assert has(message, f"--cache-dir {tmp_path / 'file'}", "Not a directory", "choose another")


def test_run_that_is_there_already(refused, twins, tmp_path):
    folder = saved_run(tmp_path / "run", twins)
    message = refused("train.py", *words_for(twins, folder))
    assert has(message, f"{folder} exists already", "--resume", "another --out")


def test_folder_with_other_files_is_left_alone(refused, twins, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("mine")
    for resume in ([], ["--resume"]):
        message = refused("train.py", *words_for(twins, tmp_path / "thesis"), *resume)
        assert has(message, f"{tmp_path / 'thesis'} exists already", "no run is in it", "another --out")
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["chapter.tex"]


def test_resume_with_another_configuration(refused, twins, tmp_path):
    folder = saved_run(tmp_path / "run", twins, batch_size=32, option={"dropout": 0.1})
    before = (folder / "config.json").read_bytes()
    words = [*words_for(twins, folder), "--batch-size", "100", "--option", "dropout=0.2", "--resume"]
    message = refused("train.py", *words)
    assert has(message, f"{folder} holds a run of another configuration", "batch_size was 32, now 100")
    assert has(message, "option was {'dropout': 0.1}, now {'dropout': 0.2}", "flags it was started", "another --out")
    assert not any(name in message for name in ("model was", "corpus was", "bands was", "epochs was"))
    assert (folder / "config.json").read_bytes() == before


def test_resume_with_a_damaged_configuration(refused, twins, tmp_path):
    folder = saved_run(tmp_path / "run", twins)
    (folder / "config.json").write_text("garbage")
    message = refused("train.py", *words_for(twins, folder), "--resume")
    assert has(message, folder / "config.json", "expected the configuration of a run", "Restore the file")


@pytest.fixture(scope="module")
def finished(twins, tmp_path_factory):
    """A run of one fold, trained with two unusable clips left out: one of training, one of test."""
    folder = tmp_path_factory.mktemp("finished")
    root = shutil.copytree(twins["emodb"], folder / "emodb")
    truncate(root / "wav" / "11a01Fa.wav")
    (root / "wav" / "03a01Wa.wav").write_bytes(b"")
    given = {"model": "fcn", "corpus": "emodb", "fold": "0", "epochs": 1, "bands": 8, "on_bad_clip": "skip"}
    given |= {"data_root": str(root), "out": str(folder / "run"), "cache_dir": str(folder / "cache")}
    return train(from_flags({**given, "backend": keras.backend.backend()})).folder


@pytest.fixture
def run(finished, tmp_path):
    """A copy of the finished run to damage."""
    return shutil.copytree(finished, tmp_path / "run")


def test_skipped_clips_are_in_every_result(run):
    for record in (run / "metrics.json", run / "fold-0-03" / "metrics.json"):
        metrics = json.loads(record.read_text())
        assert {item["clip"] for item in metrics["bad_clips"]} == {"11a01Fa", "03a01Wa"}
        assert all(f"{item['clip']}.wav: expected" in item["reason"] for item in metrics["bad_clips"])
        assert metrics["n_clips"] == 6 and metrics["absent_classes"] == ["anger"]
    assert json.loads((run / "fold-0-03" / "metrics.json").read_text())["train_clips"] == 8 * 7 - 1


def test_predict_names_bad_files_and_goes_on(script, run, finished, tmp_path):
    wav = finished.parent / "emodb" / "wav"
    (tmp_path / "text.wav").write_text("not a sound\n")
    files = [tmp_path / "text.wav", wav / "11a01Fa.wav", wav / "08a01Wa.wav"]
    code, out, err = script("predict.py", run, *files, "--json")
    assert code == 1 and err.count("error: ") == 2 and "Traceback" not in err
    assert has(err, f"{files[0]}: expected WAV, FLAC, OGG, MP3", f"{files[1]}: expected the whole recording")
    assert [json.loads(line)["file"] for line in out.splitlines()] == [str(files[2])]


def test_predict_refuses_absent_runs_files_and_folds(refused, run, tmp_path):
    clip = tmp_path / "clip.wav"
    soundfile.write(clip, tone(0.5), RATE_HZ)
    (tmp_path / "empty").mkdir()
    assert has(refused("predict.py", tmp_path / "none", clip), f"{tmp_path / 'none'}: no run is here", "train.py")
    assert has(refused("predict.py", clip, clip), f"{clip}: no run is here", "give a folder that train.py made")
    assert has(refused("predict.py", run, tmp_path / "no.wav"), f"{tmp_path / 'no.wav'}: no such file or folder")
    assert has(refused("predict.py", run, tmp_path / "empty"), f"{tmp_path / 'empty'}: no audio below it", ".wav")
    assert has(refused("predict.py", run, clip, "--fold", "7"), f"unknown fold of {run} '7'", "Known: 0")
    assert has(refused("predict.py", run, clip, "--max-clip-seconds", "nan"), "--max-clip-seconds is nan", "finite")


def test_garbage_in_place_of_the_model(refused, run, tmp_path):
    soundfile.write(tmp_path / "clip.wav", tone(0.5), RATE_HZ)
    (run / "fold-0-03" / "model.keras").write_text("garbage")
    for words in (["predict.py", run, tmp_path / "clip.wav"], ["evaluate.py", run]):
        message = refused(*words)
        assert has(message, f"{run / 'fold-0-03' / 'model.keras'}: expected a model as train.py saves it")
        assert has(message, "no .keras archive", "Restore the file, or train again")


def test_run_without_its_model(refused, run, tmp_path):
    soundfile.write(tmp_path / "clip.wav", tone(0.5), RATE_HZ)
    (run / "fold-0-03" / "model.keras").unlink()
    assert has(refused("predict.py", run, tmp_path / "clip.wav"), run, "no trained model is there", "--resume")
    (run / "metrics.json").unlink()
    message = refused("predict.py", run, tmp_path / "clip.wav")
    assert has(message, f"{run}: not finished (metrics.json is absent)", "train.py", "--resume")


def test_damaged_records(refused, run):
    (run / "metrics.json").write_text('{"ua": ')
    assert has(refused("evaluate.py", run), f"{run / 'metrics.json'}: expected a run's figures", "train again")
    (run / "metrics.json").unlink()
    assert has(refused("evaluate.py", run), f"{run}: not finished (metrics.json is absent)", "--resume")
    (run / "config.json").write_text("[]")
    assert has(refused("evaluate.py", run), f"{run / 'config.json'}: expected the configuration", "Restore")


def test_damaged_models(finished, tmp_path):
    whole = (finished / "fold-0-03" / "model.keras").read_bytes()
    path = tmp_path / "model.keras"
    half = len(whole) // 2
    for content in (b"", b"garbage", whole[:half], whole[:half] + bytes(999) + whole[half + 999 :]):
        path.write_bytes(content)
        with pytest.raises(UserError, match=f"{path}: expected a model as train.py saves it, found another or a da"):
            load_model(path)


def test_other_archives_and_models(tmp_path):
    with zipfile.ZipFile(tmp_path / "text.keras", "w") as archive:
        archive.writestr("readme.txt", "no model")
    network = registry.build("fcn", 3, 8, hidden_units=4)
    with_normalization(np.zeros(8), np.ones(8), network).save(tmp_path / "features.keras")
    for name, found in (("text.keras", "config.json"), ("features.keras", "without a front-end")):
        with pytest.raises(UserError, match=rf"{name}: expected a model as train.py saves it") as error:
            load_model(tmp_path / name)
        assert has(str(error.value), found, "train again")


def test_training_loss_that_is_not_finite(refused, twins, tmp_path):
    words = [*words_for(twins, tmp_path / "run"), "--batch-size", "35", "--learning-rate", "1e30"]
    message = refused("train.py", *words)
    assert has(message, "fold 0-03, epoch 1/1: the training loss is nan", "--learning-rate than 1e+30", "float32")
    assert not (tmp_path / "run" / "fold-0-03").exists()


def test_resume_without_a_folder(refused, twins):
    words = words_for(twins, "anything")
    del words[words.index("--out") : words.index("--out") + 2]
    assert has(refused("train.py", *words, "--resume"), "--resume needs --out DIR")


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--option", "attention_scale=high"], "'attention_scale': 'high'"),
        (["--option", "recurrent_layers=0"], "recurrent_layers is 0, expected 1"),
        (["--option", "name=x"], "option of"),
        (["--option", "n_classes=3"], "option of"),
        (["--class-weights", "sad=1e300"], "--class-weights"),
        (["--bands", "5000000"], "front-end: 5000000 htk bands"),
    ],
)
def test_impossible_settings_are_refused_before_anything_is_written(refused, twins, tmp_path, words, found):
    assert has(refused("train.py", *words_for(twins, tmp_path / "run"), *words), found)
    assert not (tmp_path / "run").exists()
