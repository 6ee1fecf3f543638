"""The stand-in for RECOLA, on a small tree of RAVDESS's names and layout that is written here."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import quick_check
import soundfile
import tiny_runs

from zoo.config.flags import from_flags
from zoo.data.corpora import registry as corpora
from zoo.data.synthetic.recola_standin import write_standin
from zoo.errors import UserError
from zoo.export import export, model_card
from zoo.inference import run_predictor
from zoo.runs.dataset import open_source, resolve
from zoo.runs.folder import corpus_name
from zoo.serving.description import DESCRIPTION
from zoo.training import initial_model

# Of the files that the program that made the first stand-in writes of `ravdess` below, 3 s with a delay of 0.4 s.
SHA256 = "7dd08921baf809fdcf33852dc4301593fbac5f57b0a53450c14fb5734b24919e"


@pytest.fixture
def ravdess(tmp_path) -> Path:
    """19 actors of six utterances each, 0.1 to 0.3 s long, so that each is drawn several times."""
    rng = np.random.RandomState(0)  # its stream never changes
    for actor in range(1, 20):
        folder = tmp_path / f"ravdess/Actor_{actor:02d}"
        folder.mkdir(parents=True)
        for emotion, intensity in ((1, 1), (3, 1), (3, 2), (4, 2), (6, 1), (7, 2)):
            samples = rng.randint(-8000, 8000, rng.randint(1600, 4800)).astype(np.int16)
            name = f"03-01-{emotion:02d}-{intensity:02d}-01-01-{actor:02d}.flac"
            soundfile.write(folder / name, samples, 16_000)
    return tmp_path / "ravdess"


def folder_sha256(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "stand-in.json"):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def test_the_script_makes_the_stand_in_of_the_records(ravdess, tmp_path, script):
    (ravdess / "Actor_01/03-02-05-01-01-01-01.flac").write_bytes(b"a song is no speech")
    words = ("--data-root", ravdess, "--seconds", 3, "--delay-seconds", 0.4)
    code, said, _ = script("make_recola_standin.py", *words, "--out", tmp_path / "standin")
    assert code == 0 and SHA256 in said and folder_sha256(tmp_path / "standin") == SHA256
    made = json.loads((tmp_path / "standin/stand-in.json").read_text())
    assert (made["seconds"], made["delay_seconds"], made["sha256"]) == (3, 0.4, SHA256)
    assert made["actors"] == [f"Actor_{actor:02d}" for actor in range(1, 19)]
    clips = corpora.load("recola", tmp_path / "standin").clips
    assert [len(clip.trace.values) for clip in clips] == [75] * 18
    assert {clip.tags["part"] for clip in clips} == {"train", "dev"}


def test_ratings_follow_the_acted_emotion_late(tmp_path):
    """By hand: one strong utterance of 1 s again and again has its emotion's place, a normal one 0.6 of it."""
    for actor in range(1, 19):
        path = (
            tmp_path / f"r/Audio_Speech_Actors_01-24/Actor_{actor:02d}/03-01-05-0{1 + actor % 2}-01-01-{actor:02d}.wav"
        )
        path.parent.mkdir(parents=True)
        tone = 0.1 * np.sin(np.arange(48_000) / 9)
        soundfile.write(path, np.stack([tone, tone], axis=1), 48_000)  # as released, and some clips are stereo
    write_standin(tmp_path / "r", tmp_path / "out", seconds=2.0)
    for actor, name in enumerate([*(f"train_{k}" for k in range(1, 10)), *(f"dev_{k}" for k in range(1, 10))], start=1):
        for dimension, strong in (("arousal", 0.8), ("valence", -0.7)):
            rows = (tmp_path / f"out/ratings_gold_standard/{dimension}/{name}.arff").read_text().split("@data\n\n")[1]
            expected = strong if actor % 2 else 0.6 * strong
            assert rows.split() == [f"{name},{k * 0.04:.2f},{expected:.6f}" for k in range(50)]
        info = soundfile.info(tmp_path / f"out/recordings_audio/{name}.wav")
        assert (info.samplerate, info.channels, info.frames) == (16_000, 1, 32_000)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--seconds", 0), "at least 0.04 s"),
        (("--seconds", "inf"), "at least 0.04 s"),
        (("--seconds", 3, "--delay-seconds", 3), "a shorter delay"),
        (("--seconds", 3, "--delay-seconds", -1), "a shorter delay"),
        (("--out", "{ravdess}"), "not an empty folder"),
    ],
)
def test_impossible_arguments_are_refused(ravdess, tmp_path, script, words, said):
    words = [str(word).format(ravdess=ravdess) for word in words]
    code, _, error = script("make_recola_standin.py", "--data-root", ravdess, "--out", tmp_path / "new", *words)
    assert code == 2 and said in error and not (tmp_path / "new").exists()


def test_too_few_actors_and_a_bad_clip_are_refused_and_leave_nothing(ravdess, tmp_path, script):
    first = next((ravdess / "Actor_01").iterdir())
    first.write_bytes(first.read_bytes()[:60])
    words = ("--data-root", ravdess, "--out", tmp_path / "new")
    code, _, error = script("make_recola_standin.py", *words)
    assert code == 2 and first.name in error and not (tmp_path / "new").exists()
    for actor in ("Actor_02", "Actor_05"):
        (ravdess / actor).rename(tmp_path / actor)
    code, _, error = script("make_recola_standin.py", *words)
    assert code == 2 and "expected speech of 18 actors, found 17" in error


def test_records_name_the_stand_in_and_not_recola(ravdess, tmp_path):
    """The stand-in's folder has RECOLA's layout and stand-in.json."""
    write_standin(ravdess, tmp_path / "RECOLA", seconds=2.0)
    settings = from_flags({"model": "conv_lstm", "corpus": "recola", "data_root": str(tmp_path / "RECOLA")})
    source = open_source(resolve(settings))
    record = {**source.about, "corpus": "recola", "synthetic": source.synthetic}
    assert corpus_name(record) == "stand-in for RECOLA made from RAVDESS"
    about = initial_model.about_model("run", "mine", "0" * 64, corpus_name(record), synthetic=False)
    assert about["licence"] == corpora.CORPORA["ravdess"].licence
    (tmp_path / "RECOLA/stand-in.json").unlink()
    assert open_source(resolve(settings)).about == {}
    (tmp_path / "RECOLA/stand-in.json").write_text("{}")
    with pytest.raises(UserError, match=r"stand-in.json: expected what a stand-in is made of"):
        open_source(resolve(settings))


def test_models_of_the_stand_in_say_so(tmp_path):
    """An export's description, its card and its answers, of a run whose record is that of a stand-in."""
    run = tiny_runs.make(tmp_path / "run", "fcn", "emodb")  # its graph is small
    made = {"stand_in_for": "EmoDB", "made_from": "RAVDESS, speech"}
    (place,) = run.glob("fold-*")
    for folder in (run, place):
        record = json.loads((folder / "metrics.json").read_text())
        facts = {"stand_in": made, "synthetic": False, "leakage": [], "notes": [], "sides": ["train", "validation"]}
        (folder / "metrics.json").write_text(json.dumps({**record, **facts}))
    with quick_check.checked_with((0.3,), (1,)):
        version = export.export(run, tmp_path / "export")
    card = model_card.write(version, run).read_text()
    description = json.loads((version / DESCRIPTION).read_text())
    name = "stand-in for EmoDB made from RAVDESS"
    assert description["trained_on"] == name and description["stand_in"] == made
    assert "Nothing of EmoDB is in it" in card and "RAVDESS, https://zenodo.org" in card and "bilderbar" not in card
    assert next(run_predictor.of_run(run).predict([0.1 * np.sin(np.arange(9_600) / 9)]))["trained_on"] == name
