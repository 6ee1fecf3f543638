"""A table of one's own recordings, from the check over training to the export, by the scripts as a user runs them."""

import csv
import json

import numpy as np
import pytest
import soundfile
from quick_check import checked_with

from zoo.runs.folder import read_record, read_rows

RATE_HZ = 16_000
PITCH_HZ = {"angry": 400.0, "sad": 150.0}
MODEL = ("--model", "cnn1d_mfcc", "--recipe", "quick", "--epochs", "1", "--fold", "0")


def voice(rng, label, seconds):
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return 0.3 * np.sin(2 * np.pi * PITCH_HZ[label] * rng.uniform(0.9, 1.1) * time) + rng.normal(0, 0.02, len(time))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Five speakers with a recording each, of ten segments; the table says .wav, the files are FLAC in a folder."""
    folder, rng, rows = tmp_path_factory.mktemp("own"), np.random.default_rng(0), []
    (folder / "audio").mkdir()
    for number in range(5):
        labels = [list(PITCH_HZ)[n % 2] for n in range(10)]
        parts = [voice(rng, label, 0.3) for label in labels]
        soundfile.write(folder / "audio" / f"talk{number}.flac", np.concatenate(parts), RATE_HZ)
        rows += [(f"talk{number}.wav", 0.3 * n, 0.3 * (n + 1), f"spk{number}", label) for n, label in enumerate(labels)]
    with (folder / "mine.csv").open("w", encoding="utf-16", newline="") as file:
        csv.writer(file, delimiter=";").writerows([("file", "start", "end", "who", "Emotion"), *rows])
    return folder


def words(corpus, out, *more):
    return (
        *MODEL,
        "--corpus",
        "table",
        "--data-root",
        corpus / "mine.csv",
        "--column",
        "speaker=who",
        "--out",
        out,
        *more,
    )


@pytest.mark.slow
def test_from_a_table_to_an_export(script, corpus, tmp_path):
    code, out, errors = script("check_corpus.py", "--corpus", f"table:{corpus / 'mine.csv'}", "--column", "speaker=who")
    assert code == 0, errors + out
    assert "50 clips of 5 speakers" in out and "table-speakers" in out
    run = tmp_path / "run"
    code, out, errors = script("train.py", *words(corpus, run))
    assert code == 0, errors
    record, rows = read_record(run), read_rows(run)
    assert record["classes"] == ["angry", "sad"] and record["corpus"] == "table:mine.csv" and len(rows) == 10
    assert record["speaker_independent"] and record["leakage"] == [] == record["notes"] == record["warnings"]
    (number,) = {row["speaker"].removeprefix("spk") for row in rows}
    assert {row["clip"] for row in rows} >= {f"talk{number}.wav#0.000-0.300", f"talk{number}.wav#2.700-3.000"}
    assert str(corpus) not in (run / "metrics.json").read_text() + (run / "predictions.csv").read_text()

    (corpus / "mine.csv").rename(corpus / "moved.csv")  # a run knows its classes without the table
    try:
        code, out, errors = script("evaluate.py", run, "--data-root", corpus / "moved.csv")
        assert code == 0 and "the recorded figures come out again" in out, errors + out
        code, out, errors = script("evaluate.py", run, "--data-root", corpus / "moved.csv", "--json")
        found = json.loads(out)
        assert code == 0 and found["changed"] == [] and found["figures"]["ua"] == record["ua"], errors
        code, out, errors = script("predict.py", run, corpus / "audio" / "talk0.flac", "--json")
        assert code == 0 and set(json.loads(out.splitlines()[-1])["probabilities"]) == {"angry", "sad"}, errors
        with checked_with():
            code, out, errors = script("export.py", run, "--out", tmp_path / "export")
        assert code == 0, errors
        card = (tmp_path / "export" / "model_card.md").read_text()
        assert "The table mine.csv" in card or "the table mine.csv" in card
        assert "--corpus table:mine.csv" in card and "--classes angry,sad" in card and str(corpus) not in card
    finally:
        (corpus / "moved.csv").rename(corpus / "mine.csv")
    code, out, errors = script("train.py", *words(corpus, tmp_path / "other", "--seed", "1"))
    assert code == 0, errors
    code, out, errors = script("compare.py", run, tmp_path / "other", "--by-run")
    assert code == 0 and "table:mine.csv" in out, errors
    code, out, errors = script("train.py", *words(corpus, run, "--resume"))
    assert code == 0, errors


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (
            ("--target", "mood"),
            "expected labels to train on in a column 'mood', found none. Name the column by --column",
        ),
        (("--synthetic",), "exclude each other"),
        (("--classes", "angry,angry"), "expected different names, separated by commas"),
        (("--column", "speaker"), "--column speaker: expected NAME=THEIRS"),
        (("--column", "file=nothing"), "unknown column of"),
        (("--protocol", "ravdess-actors"), "unknown table protocol 'ravdess-actors'"),
        (("--protocol", "table-split"), "expected train, validation (dev) or test as the split, found ''"),
        (("--classes", "angry,bored"), "found none of bored"),
        (("--audio-root", "/nowhere"), "5 of the files that mine.csv names are absent"),
        (("--label-map", "no.csv"), "no.csv: expected a table of recordings, found No such file"),
    ],
)
def test_what_cannot_be_trained_ends_with_2_and_one_message(script, corpus, tmp_path, given, found):
    code, _, errors = script("train.py", *words(corpus, tmp_path / "run", *given))
    assert code == 2 and found in errors and "Traceback" not in errors, errors
    assert not (tmp_path / "run").exists()


def test_a_table_without_a_path_is_asked_for(script):
    assert "found none. Give it with --data-root FILE" in script("train.py", "--corpus", "table")[2]


def test_check_corpus_names_times_beyond_a_file_and_one_person_under_two_names(script, tmp_path, rng):
    soundfile.write(tmp_path / "a.wav", voice(rng, "sad", 1.0), RATE_HZ)
    soundfile.write(tmp_path / "b.flac", soundfile.read(tmp_path / "a.wav")[0], RATE_HZ)
    soundfile.write(tmp_path / "c.wav", np.zeros(RATE_HZ), RATE_HZ)
    rows = "a.wav,,,anna\nb.flac,,,Anna2\na.wav,0.5,2,anna\nc.wav,,,carl\ngone.wav,,,carl\n"
    (tmp_path / "pool.csv").write_text(f"file,start,end,speaker\n{rows}")
    code, out, _ = script("check_corpus.py", "--corpus", "table", "--data-root", "pool.csv", "--json")
    found = json.loads(out)
    assert code == 1 and found["clips"] == 4 and found["missing"] == ["gone.wav"]
    assert found["duplicates"] == [["a.wav", "b.flac"]] and found["two_speakers"] == ["Anna2 and anna: a.wav = b.flac"]
    assert "a.wav from 0.5 s to 2 s: expected a segment within the recording" in found["unreadable"]["beyond"][0]
    assert "c.wav" in found["unreadable"]["silent"][0] and "1 groups of overlapping segments" in found["notices"][0]


@pytest.mark.slow
def test_ratings_of_a_table_train_and_predict(script, tmp_path, rng):
    lines = ["file,time,arousal,valence,speaker"]
    for number in range(3):
        soundfile.write(tmp_path / f"{number}.wav", rng.uniform(-0.3, 0.3, 2 * RATE_HZ), RATE_HZ)
        walk = np.clip(np.cumsum(rng.normal(0, 0.1, (50, 2)), axis=0), -1, 1)
        lines += [f"{number}.wav,{0.04 * n:.2f},{a:.4f},{v:.4f},s{number}" for n, (a, v) in enumerate(walk)]
    (tmp_path / "rated.csv").write_text("\n".join(lines))
    small = ("--option", "filters=[4,6,8]", "--option", "recurrent_units=6", "--epochs", "1", "--segment-seconds", "1")
    model = ("--model", "conv_lstm", "--recipe", "quick", *small, "--corpus", "table:rated.csv", "--fold", "0")
    code, _, errors = script("train.py", *model, "--out", "run")
    assert code == 0, errors
    record = read_record(tmp_path / "run")
    assert list(record["dimensions"]) == ["arousal", "valence"] and record["n_recordings"] == 1
    code, out, errors = script("predict.py", "run", "0.wav", "--json")
    assert code == 0 and {"arousal", "valence"} <= json.loads(out.splitlines()[0]).keys(), errors
    code, _, errors = script("train.py", "--model", "cnn1d_mfcc", "--corpus", "table:rated.csv")
    assert code == 2 and "expected labels to train on in a column 'emotion', found none" in errors
