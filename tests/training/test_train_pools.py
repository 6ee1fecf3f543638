"""Train on several small corpora: what the record says of them, figures by corpus, the same when evaluated again."""

import json

import numpy as np
import pytest
import soundfile

from zoo.config.flags import from_flags
from zoo.errors import UserError
from zoo.export import model_card
from zoo.features import corpus_normalization, speaker_normalization
from zoo.runs.dataset import open_source, resolve
from zoo.runs.folder import read_record, read_rows
from zoo.serving.description import DESCRIPTION
from zoo.training.evaluate import evaluate_run
from zoo.training.train import train

CODES = {"angry": "05", "sad": "04", "calm": "02"}
LETTERS = {"W": "angry", "T": "sad"}


def write(path, rng, high):
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(6_400) / 16_000
    wave = 0.2 * np.sin(2 * np.pi * (900 if high else 200) * time) + 0.02 * rng.standard_normal(len(time))
    soundfile.write(path, wave, 16_000)


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    """A folder with RAVDESS, EmoDB and a table, of a few speakers each; 01 of the table is another than Actor_01."""
    root, rng = tmp_path_factory.mktemp("corpora"), np.random.default_rng(0)
    for actor in range(1, 7):
        for name, code in CODES.items():
            for n in (1, 2):
                write(
                    root / "RAVDESS" / f"Actor_{actor:02d}" / f"03-01-{code}-01-0{n}-01-{actor:02d}.wav",
                    rng,
                    name == "angry",
                )
    for speaker in ("03", "08", "09"):
        for letter in LETTERS:
            write(root / "EmoDB" / "wav" / f"{speaker}a01{letter}a.wav", rng, letter == "W")
    lines = ["file,speaker,emotion"]
    for speaker in ("Actor_01", "b", "c", "d"):
        for label in ("Anger", "sadness", "wut"):
            write(root / "mine" / f"{speaker}-{label}.wav", rng, label != "sadness")
            lines.append(f"{speaker}-{label}.wav,{speaker},{label}")
    (root / "mine" / "labels.csv").write_text("\n".join(lines) + "\n")
    points = {"Anger": "4.5,1", "sadness": "1,2", "wut": ","}  # arousal, valence
    rated = [f"{line.split(',')[0]},{line.split(',')[1]},{points[line.split(',')[2]]}" for line in lines[1:]]
    (root / "mine" / "rated.csv").write_text("\n".join(["file,speaker,arousal,valence", *rated]) + "\n")
    (root / "map.csv").write_text("corpus,label,class\ntable:mine/labels.csv,wut,angry\n")
    return root


@pytest.fixture
def settings(corpora, tmp_path):
    def made(**flags):
        common = {
            "model": "fcn",
            "bands": 8,
            "epochs": 1,
            "fold": "0",
            "data_root": str(corpora),
            "out": str(tmp_path / "run"),
        }
        common |= {"corpus": "ravdess+emodb+table:mine/labels.csv", "label_map": str(corpora / "map.csv")}
        return from_flags({**common, "cache_dir": str(corpora / "cache"), **flags})

    return made


def test_pool_of_three(settings, tmp_path):
    run = train(settings(epochs=2)).folder
    record = read_record(run)
    assert record["classes"] == ["angry", "sad"] and record["speaker_independent"] and record["leakage"] == []
    assert {name: row["licence"] for name, row in record["corpora"].items()} == {
        "ravdess": "CC BY-NC-SA 4.0",
        "emodb": "free for research",
        "mine/labels.csv": "that of its owner",
    }
    mine = record["corpora"]["mine/labels.csv"]
    assert mine["label_map"] == {"Anger": "angry", "sadness": "sad", "wut": "angry"}
    assert mine["clips"] == {"angry": 8, "sad": 4} and mine["label_source"].startswith("map.csv; English")
    rows = read_rows(run)
    assert {row["corpus"] for row in rows} == set(record["corpora"]) == set(record["per_corpus"])
    for name, figures in record["per_corpus"].items():
        own = [row for row in rows if row["corpus"] == name]
        recalls = [
            np.mean([r["prediction"] == r["truth"] for r in own if r["truth"] == one]) for one in ("angry", "sad")
        ]
        assert figures["ua"]["value"] == pytest.approx(np.mean(recalls)) and figures["n_clips"] == len(own)
    _, changed = evaluate_run(run)
    assert not changed

    version = tmp_path / "export" / "1"
    (version / DESCRIPTION).parent.mkdir(parents=True)
    described = {"model": "fcn", "paper": "-", "task": "emotion", "classes": record["classes"], "lengths_in": "samples"}
    described |= {"rate_hz": 16_000, "shortest": 400, "longest": 960_000, "synthetic": False, "calibration": None}
    described |= {
        "protocol": record["protocol"],
        "folds": ["0-speakers"],
        "files": {},
        "run_files": {},
        "run_versions": {},
    }
    (version / DESCRIPTION).write_text(json.dumps(described))
    card = model_card.write(version, run).read_text()
    for line in (
        "RAVDESS, https",
        "licence: CC BY-NC-SA 4.0",
        "EmoDB, http",
        "the table mine/labels.csv",
        "that of its owner",
    ):
        assert line in card
    assert "Labels of mine/labels.csv: angry 8 (Anger + wut), sad 4 (sadness). map.csv; English" in card
    assert "--corpus ravdess+emodb+table:mine/labels.csv" in card and "--classes angry,sad" in card


def test_unseen_corpus_standardised_by_its_own_clips(settings):
    run = train(settings(protocol="pool-unseen", normalize_corpora=True, fold="2", corpus_weights="balanced")).folder
    record = read_record(run)
    assert {row["corpus"] for row in read_rows(run)} == {"mine/labels.csv"} and "per_corpus" not in record
    assert record["warnings"] == [corpus_normalization.NOTE]
    (fold,) = run.glob("fold-*")
    assert fold.name == "fold-2-mine_labels.csv"
    statistics = speaker_normalization.load(fold, corpus_normalization.FILE)
    assert set(statistics.means) == {"ravdess", "emodb", "mine/labels.csv"}
    _, changed = evaluate_run(run)  # from the audio, by the statistics that were kept
    assert not changed


def test_one_corpus_by_common_names(settings):
    source = open_source(resolve(settings(corpus="ravdess", classes=("calm", "sad"), label_map="")))
    assert source.protocol.name == "pool-speakers" and {clip.label for clip in source.clips} == {"calm", "sad"}


def test_quadrants_of_emotions_and_ratings(settings, corpora):
    source = open_source(resolve(settings(target="quadrant", corpus="ravdess+emodb", label_map="")))
    assert source.protocol.classes == ("active-unpleasant", "passive-unpleasant")
    assert source.about["quadrants"]["neutral_radius"] == 0.2 and source.about["quadrants"]["source"].startswith(
        "Russell"
    )
    flags = {"target": "quadrant", "label_map": "", "rating_scale": (1.0, 5.0)}
    rated = open_source(resolve(settings(corpus="ravdess+table:mine/rated.csv", classes=(), **flags)))
    own = [clip for clip in rated.clips if clip.tags["corpus"] == "mine/rated.csv"]
    assert {clip.label for clip in own} == {"active-unpleasant", "passive-unpleasant"} and len(own) == 8
    assert {clip.targets["arousal"] for clip in own} == {0.75, -1.0}
    assert rated.warnings[0] == "mine/rated.csv: 4 clips without a label are left out" and rated.notes == ()
    with pytest.raises(UserError, match="outside the scale from 1 to 4"):
        open_source(resolve(settings(corpus="table:mine/rated.csv", **{**flags, "rating_scale": (1.0, 4.0)})))
    alone = open_source(resolve(settings(target="quadrant", corpus="ravdess", label_map="")))
    assert {clip.label for clip in alone.clips} == {"active-unpleasant", "passive-unpleasant", "passive-pleasant"}


def test_table_without_speakers_is_marked(settings, corpora):
    text = (corpora / "mine" / "rated.csv").read_text().splitlines()
    lines = [",".join((line.split(",")[0], *line.split(",")[2:])) for line in text]
    (corpora / "mine" / "nobody.csv").write_text("\n".join(lines) + "\n")
    flags = {"target": "quadrant", "label_map": "", "rating_scale": (1.0, 5.0)}
    source = open_source(resolve(settings(corpus="ravdess+table:mine/nobody.csv", **flags)))
    assert not source.protocol.speaker_independent
    assert "mine/nobody.csv: 8 clips of unknown speakers, who may be on two sides of a fold" in source.warnings


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"label_map": ""}, "table:mine/labels.csv: no common name is known for the labels 'wut'"),
        ({"classes": ("angry", "calm")}, "emodb has no clip of calm: expected clips of every class"),
        ({"corpus": "ravdess+table:none.csv"}, "table:none.csv: expected .*none.csv, found nothing"),
        ({"corpus": "ravdess+ravdess"}, "ravdess is named twice"),
        ({"corpus": "ravdess", "normalize_corpora": True}, "--normalize-corpora is for several corpora"),
        ({"corpus": "ravdess", "corpus_weights": "balanced"}, "--corpus-weights is for several corpora"),
        ({"protocol": "ravdess-actors"}, "unknown protocol of a pool 'ravdess-actors'"),
        ({"data_root": "", "synthetic": True}, "table:mine/labels.csv is a table"),
    ],
)
def test_pools_that_are_refused(settings, flags, message):
    with pytest.raises(UserError, match=message):
        open_source(resolve(settings(**flags)))


def test_corpus_without_a_class_is_noted_where_that_is_allowed(settings):
    flags = {"classes": ("angry", "sad", "calm"), "allow_incomplete": True}
    notes = open_source(resolve(settings(**flags))).notes
    assert "emodb has no clip of calm" in notes and "mine/labels.csv has no clip of calm" in notes
