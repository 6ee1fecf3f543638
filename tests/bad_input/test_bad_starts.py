"""Starts that fail, starts at the same time, and runs that go on with other versions."""

import json
from importlib import metadata

import keras
import pytest
import soundfile
from spoil import has

from zoo.config.flags import from_flags
from zoo.errors import UserError
from zoo.runs import begin, environment
from zoo.runs.dataset import resolve
from zoo.utils.atomic_files import write_json

BACKEND = ["--backend", keras.backend.backend()]


def settings(out, **given):
    return resolve(from_flags({"model": "fcn", "corpus": "emodb", "synthetic": True, "out": str(out), **given}))


def started(out, resume=False, **given):
    """List the files of a run's folder after a start has written its configuration."""
    with begin.opened(settings(out, **given), resume) as folder:
        return sorted(path.name for path in folder.iterdir())


def failing(out, error, resume=False, fold=False, **given):
    with pytest.raises(type(error)), begin.opened(settings(out, **given), resume) as folder:
        for name in ("data.json", "versions.json"):
            write_json(folder / name, {})
        if fold:
            (folder / "fold-0-x").mkdir()
        raise error


def test_a_start_that_fails_leaves_nothing_and_the_next_one_may_have_other_flags(tmp_path):
    out = tmp_path / "new" / "run"
    failing(out, UserError("a silent clip"))
    assert not (tmp_path / "new").exists()
    failing(out, ZeroDivisionError())
    assert not (tmp_path / "new").exists()
    assert "config.json" in started(out, on_bad_clip="skip")


def test_folders_and_files_of_the_user_stay(tmp_path):
    (tmp_path / "empty").mkdir()
    failing(tmp_path / "empty", UserError(""))
    assert list((tmp_path / "empty").iterdir()) == []
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("mine")
    with pytest.raises(UserError, match="no run is in it"):
        started(tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.tex"]


def test_what_was_begun_before_or_trained_or_interrupted_stays(tmp_path):
    started(tmp_path / "before")
    failing(tmp_path / "before", UserError(""), resume=True)
    failing(tmp_path / "trained", UserError(""), fold=True)
    failing(tmp_path / "interrupted", KeyboardInterrupt())
    for name in ("before", "trained", "interrupted"):
        assert (tmp_path / name / "config.json").is_file()
        with pytest.raises(UserError, match="add --resume"):
            started(tmp_path / name)
        assert "config.json" in started(tmp_path / name, resume=True)


def test_a_second_start_at_the_same_time_changes_nothing(tmp_path):
    with begin.opened(settings(tmp_path / "run"), False) as folder:
        before = (folder / "config.json").read_bytes()
        for resume, seed in ((False, 1), (True, 0), (True, 1)):
            with pytest.raises(UserError, match=r"exists already|another process|another configuration"):
                started(folder, resume, seed=seed)
        (folder / "config.json").unlink()  # between the lock and the configuration of the first
        with pytest.raises(UserError, match="another process is at work"):
            started(folder, seed=1)
        assert not (folder / "config.json").exists() and (folder / ".lock").exists()
        (folder / "config.json").write_bytes(before)


def test_train_with_a_silent_clip_and_then_without_it(script, emodb, tmp_path):
    clip = next((emodb / "wav").glob("03*.wav"))
    soundfile.write(clip, [0.0] * 8000, soundfile.info(clip).samplerate)
    words = ["train.py", "--model", "fcn", "--corpus", "emodb", "--data-root", emodb, "--out", tmp_path / "run"]
    words += ["--fold", "0", "--epochs", "1", "--bands", "8", *BACKEND]
    code, _, err = script(*words)
    assert code == 2 and has(err, clip.name) and not (tmp_path / "run").exists()
    code, _, err = script(*words, "--on-bad-clip", "skip")
    assert code == 0, err
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["bad_clips"][0]["clip"] == clip.stem


def test_other_versions_are_named_and_all_are_kept(tmp_path, capsys, monkeypatch):
    config = settings(tmp_path / "run")
    now = environment.here(config)
    assert now["keras"] == metadata.version("keras") and {"python", "speech-emotion-zoo", "numpy"} < set(now)
    assert environment.note(tmp_path, now) == environment.note(tmp_path, now) == []
    assert capsys.readouterr().err == ""
    later = {**now, "keras": "99.0", "numpy": "98.0"}
    assert environment.note(tmp_path, later) == [now]
    assert has(
        capsys.readouterr().err, "warning: ", f"keras {now['keras']}, now 99.0", f"numpy {now['numpy']}, now 98.0"
    )
    assert environment.note(tmp_path, now) == [later]
    write_json(tmp_path / "fold-0-x" / "metrics.json", {"versions": {**now, "speech-emotion-zoo": "0.0.1"}})
    assert [one["speech-emotion-zoo"] for one in environment.note(tmp_path, now)][-1] == "0.0.1"


def test_versions_are_those_of_what_a_network_depends_on():
    assert "scikit-learn" in environment.here(settings("", model="deep_spectrum_svm"))
    assert "scikit-learn" not in environment.here(settings(""))
