"""predict.py and extract.py by shards: the same rows and features as without, in the list's order."""

import csv
import json
import shutil

import fake_shards
import keras
import numpy as np
import pytest
import soundfile
import tiny_runs

from zoo.config import flags
from zoo.data.audio.read import read
from zoo.data.batches.feature_store import features_of_clip
from zoo.data.schema import Clip
from zoo.distributed import command
from zoo.features import from_config
from zoo.features.storage import read_folder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return tiny_runs.make(tmp_path_factory.mktemp("bulk") / "run", "fcn", "emodb")


@pytest.fixture
def clips(tmp_path, rng):
    """Seven clips of different lengths, a silent one, a file that is no audio, and one that is not there."""
    names = []
    for number in range(7):
        soundfile.write(tmp_path / f"{number}.wav", 0.1 * rng.normal(size=3000 + 700 * number), 16_000)
        names.append(f"{number}.wav")
    soundfile.write(tmp_path / "silent.wav", np.zeros(4000), 16_000)
    (tmp_path / "text.wav").write_text("no audio at all, but as long as a header has to be " * 3)
    names[3:3] = ["silent.wav", "text.wav", "gone.wav", "0.wav"]  # one twice
    (tmp_path / "list.txt").write_text("\n".join(names))
    return list(dict.fromkeys(names))


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    monkeypatch.setattr(command, "_pool", lambda shards, job, args: fake_shards.InProcess(shards.folder, job))


def rows(folder, suffix="jsonl"):
    paths = sorted((folder / "shards").glob(f"[0-9]*.{suffix}"))
    if suffix == "jsonl":
        return [json.loads(line) for path in paths for line in path.read_text().splitlines()]
    return [row for path in paths for row in csv.DictReader(path.read_text().splitlines())]


def failures(folder):
    with (folder / "failed.csv").open(newline="") as file:
        return [(row["file"], row["kind"]) for row in csv.DictReader(file)]


def test_predictions_are_those_of_one_file(script, run, clips, tmp_path):
    common = (run, "--list", "list.txt", "--csv", "--out")
    assert script("predict.py", *common, "one.csv")[0] == 1
    code, _, said = script("predict.py", *common, "answers/")
    assert code == 1 and "10 files in 1 shards: 2 failed, named in answers/failed.csv" in said
    one = list(csv.DictReader((tmp_path / "one.csv").read_text().splitlines()))
    assert rows(tmp_path / "answers", "csv") == one
    assert [row["file"] for row in one] == [name for name in clips if name not in ("text.wav", "gone.wav")]
    assert failures(tmp_path / "answers") == [("text.wav", "not-audio"), ("gone.wav", "missing")]


def test_resumed_predictions_need_the_same_model_and_files(script, run, clips, tmp_path):
    common = ("--list", "list.txt", "--out", "answers/", "--shard-size", 4)
    script("predict.py", run, *common)
    before = rows(tmp_path / "answers")
    assert [row["file"] for row in before] == [name for name in clips if name not in ("text.wav", "gone.wav")]
    (tmp_path / "answers" / "shards" / "000001.jsonl").unlink()
    code, _, said = script("predict.py", run, *common)
    refused = "error: answers: has results already; add --resume to go on with them, or choose another --out\n"
    assert (code, said) == (2, refused)
    other = shutil.copytree(run, tmp_path / "run")
    (other / "config.json").write_text((other / "config.json").read_text().replace('"seed": 0', '"seed": 1'))
    code, _, said = script("predict.py", other, *common, "--resume")
    assert code == 2 and "was begun with another model sha256" in said
    (tmp_path / "short.txt").write_text("0.wav\n1.wav\n")
    code, _, said = script("predict.py", run, *common, "--list", "short.txt", "--resume")
    assert code == 2 and "was begun with another number of files, 10, and this is 2" in said
    code, _, said = script("predict.py", run, *common, "--resume")
    assert code == 1 and "2 of them before" in said and rows(tmp_path / "answers") == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--list", "gone.txt", "--out", "a/"), "--list gone.txt: cannot be read (No such file or directory)"),
        (("--list", "empty.txt", "--out", "a/"), "expected names of audio files, found none"),
        (("0.wav", "--out", "list.txt/"), "--out list.txt: expected a folder, found a file"),
        (("0.wav", "--out", "a/", "--workers", "65"), "--workers is 65, expected 1 to 64 on this machine; --ray"),
        (("0.wav", "--out", "a/", "--shard-size", "0"), "--shard-size is 0, expected at least 1"),
        (("0.wav", "--out", "a/", "--gpus-per-shard", "1"), "--gpus-per-shard has an effect with --ray alone"),
        (
            ("0.wav", "--out", "a.csv", "--shard-size", "9"),
            "--shard-size: for a folder of shards; name it with --out DIR/",
        ),
        (("0.wav", "--ray", "auto"), "--ray: for a folder of shards"),
        (("0.wav", "--out", "a/", "--fold", "7"), "unknown fold"),
    ],
)
def test_mistakes_are_named(script, run, clips, tmp_path, words, message):
    (tmp_path / "empty.txt").write_text("\n")
    code, _, said = script("predict.py", run, *words)
    assert code == 2 and message in said and said.count("error: ") == 1, said


def test_features_are_those_of_training(script, clips, tmp_path):
    common = ("--model", "fcn", "--bands", 12, "--list", "list.txt", "--shard-size", 4)
    code, _, said = script("extract.py", *common, "--out", "features")
    assert code == 1 and "10 files in 3 shards: 3 failed" in said
    found = dict(read_folder(tmp_path / "features"))
    usable = [name for name in clips if name.removesuffix(".wav").isdigit()]
    assert list(found) == usable
    assert failures(tmp_path / "features") == [
        ("silent.wav", "silent"),
        ("text.wav", "not-audio"),
        ("gone.wav", "missing"),
    ]
    extractor = from_config.extractor(
        flags.from_flags({"model": "fcn", "bands": 12, "backend": keras.backend.backend()})
    )
    for name in usable:
        expected = features_of_clip(Clip(tmp_path / name, name, "", ""), extractor.features, extractor.rate_hz)
        np.testing.assert_array_equal(found[name], expected)
    script("extract.py", *common, "--out", "cached", "--cached", "--cache-dir", tmp_path / "cache", "--storage", "int8")
    assert len(list((tmp_path / "cache" / "features").glob("*/*.npy"))) == len(usable)
    for name, values in read_folder(tmp_path / "cached"):
        assert np.abs(values - found[name]).max() < 0.05 and values.dtype == np.float32


def test_embeddings_are_what_the_run_s_network_has_before_its_head(script, run, clips, tmp_path):
    common = ("--model", "deep_spectrum_svm", "--from-run", run, "--list", "list.txt", "--out", "vectors")
    code, _, said = script("extract.py", *common)
    assert code == 1 and "3 failed" in said
    vectors = dict(read_folder(tmp_path / "vectors"))
    (fold,) = run.glob("fold-*")
    whole = keras.saving.load_model(fold / "model.keras")
    network = next(layer for layer in whole.layers if isinstance(layer, keras.Model))
    inner = next(layer for layer in network.layers if isinstance(layer, keras.Model))
    head = keras.Model(inner.get_layer("joint").output, inner.output)
    assert list(vectors) == [name for name in clips if name.removesuffix(".wav").isdigit()]
    waveform = read(tmp_path / "2.wav", 16_000)
    batch = {"waveform": waveform[None], "n_samples": np.array([len(waveform)], np.int32)}
    np.testing.assert_allclose(head(vectors["2.wav"]), whole.predict_on_batch(batch), atol=1e-5)
    code, _, said = script("extract.py", *common, "--fold", "7", "--resume")
    assert code == 2 and "unknown --fold '7'. Known: 0" in said


def test_segments_of_a_table(script, clips, tmp_path):
    (tmp_path / "t.csv").write_text("file,start,end\n6.wav,0.1,0.3\n6.wav,0.0,0.2\n5.wav,,\n")
    code, _, said = script("extract.py", "--model", "fcn", "--corpus", "table", "--data-root", "t.csv", "--out", "f")
    assert code == 0, said
    found = {name: len(values) for name, values in read_folder(tmp_path / "f")}
    assert list(found) == ["5.wav", "6.wav#0.000-0.200", "6.wav#0.100-0.300"]
    assert found["6.wav#0.000-0.200"] == found["6.wav#0.100-0.300"] < found["5.wav"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--list", "list.txt"), "--out is missing"),
        (("--out", "f"), "expected recordings by --corpus NAME or --list FILE, found neither"),
        (("--list", "list.txt", "--corpus", "ravdess", "--out", "f"), "--list and --corpus exclude each other"),
        (("--list", "list.txt", "--out", "f", "--fold", "0"), "--fold 0: has an effect with --from-run alone"),
        (("--list", "list.txt", "--out", "list.txt"), "--out list.txt: expected a folder, found a file"),
        (("--model", "deep_spectrum_svm", "--list", "list.txt", "--out", "f"), "needs --from-run DIR"),
        (("--corpus", "table", "--data-root", "gone.csv", "--out", "f"), "gone.csv: expected a table"),
    ],
)
def test_mistakes_of_extraction_are_named(script, clips, words, message):
    code, _, said = script("extract.py", "--model", "fcn", *words)
    assert code == 2 and message in said and said.count("error: ") == 1, said
