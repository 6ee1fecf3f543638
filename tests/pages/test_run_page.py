"""The page of runs: figures are those of the run's files, clips have sound, networks show where they look."""

import base64
import io
import json
import re
import shutil

import keras
import numpy as np
import pytest
import soundfile
import tiny_runs
from compared_runs import continuous_rows
from pages import Page, check_alone
from PIL import Image
from sklearn.metrics import accuracy_score, confusion_matrix, recall_score

from zoo.config import flags
from zoo.errors import UserError
from zoo.layers.attention import AttentionMap
from zoo.metrics import classification, regression
from zoo.pages import attention_maps, run, run_clips
from zoo.runs.dataset import open_source, resolve
from zoo.runs.model_file import load_model
from zoo.runs.open_run import open_run
from zoo.utils.atomic_files import write_csv, write_json

HISTORY = [
    {"epoch": n, "loss": 2.0 / n, "validation_loss": 2.5 / n, "validation_ua": 0.1 * n, "validation_wa": 0.1 * n}
    for n in range(1, 6)
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Write a run of an attention network on synthetic EmoDB: one fold, untrained, with random predictions."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPEECH_ZOO_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        patch.setitem(tiny_runs.SMALL, "attention_fcn", {"bands": 12})
        about = {"model": "attention_fcn", "corpus": "emodb", "synthetic": True, "clips": 70, "bands": 12, "fold": "0"}
        settings = resolve(flags.from_flags(about))
        (fold,) = open_source(settings).folds
        names = {"synthetic": True, "clips": 70, "fold": "0"}
        made = tiny_runs.make(
            tmp_path_factory.mktemp("runs") / "first", "attention_fcn", "emodb", names=[fold.name], **names
        )
    answers(made, fold, seed=0)
    write_csv(made / f"fold-{fold.name}" / "history.csv", HISTORY)
    return made


def answers(folder, fold, seed):
    """Writes the run's predictions, drawn at random, and the figures that they have."""
    classes = open_run(folder).protocol.classes
    shares = np.random.default_rng(seed).dirichlet(np.full(len(classes), 0.5), len(fold.test)).round(6)
    rows = [
        {"corpus": "synthetic emodb", "clip": clip.name, "speaker": clip.speaker, "truth": clip.label}
        | {
            "prediction": classes[int(share.argmax())],
            **{f"p_{n}": f"{p:.6f}" for n, p in zip(classes, share, strict=True)},
        }
        for clip, share in zip(fold.test, shares, strict=True)
    ]
    truth, prediction, speakers = ([row[name] for row in rows] for name in ("truth", "prediction", "speaker"))
    figures = classification.evaluate(truth, prediction, classes, speakers)
    record = json.loads((folder / "metrics.json").read_text())
    write_csv(folder / "predictions.csv", rows)
    write_json(folder / "metrics.json", {**record, **figures, "folds": [{"fold": fold.name, "n_clips": len(rows)}]})


@pytest.fixture
def own(folder, tmp_path):
    """The run's copy, to change."""
    return shutil.copytree(folder, tmp_path / "own")


def columns(folder):
    rows = run_clips.predictions(open_run(folder))
    return [row["truth"] for row in rows], [row["prediction"] for row in rows], rows


def test_figures_are_scikit_learns_of_the_predictions(folder):
    page = Page(run.page([folder], n_clips=0))
    check_alone(page)
    truth, prediction, _ = columns(folder)
    classes = list(open_run(folder).protocol.classes)
    # Of labels alone: scikit-learn warns of predicted classes that no clip has.
    present = sorted(set(truth))
    ua = recall_score(truth, prediction, labels=present, average="macro", zero_division=0)
    assert f"UA {100 * ua:.1f} %" in page.text and f"WA {100 * accuracy_score(truth, prediction):.1f} %" in page.text
    counts = confusion_matrix(truth, prediction, labels=classes)
    for line, of_class in zip(page.rows("Rows are the true class")[1:], counts, strict=True):
        share = [f"{100 * n / of_class.sum():.0f}" if of_class.sum() else "–" for n in of_class]
        assert line == [line[0], *(f"{s}{n}" for s, n in zip(share, of_class, strict=True)), str(of_class.sum())]


def test_every_figure_names_its_file(folder):
    page = Page(run.page([folder], n_clips=0))
    fold = open_run(folder).fold_folders[0].name
    for file in (
        "metrics.json: ua, wa, macro_f1",
        "metrics.json: confusion",
        "metrics.json: per_speaker",
        f"{fold}/history.csv",
    ):
        assert f"From {file}" in page.text
    assert (folder / fold / "history.csv").is_file()


def test_speakers_are_those_of_the_record(folder):
    record = json.loads((folder / "metrics.json").read_text())["per_speaker"]
    for line in Page(run.page([folder], n_clips=0)).rows("From the lowest UA")[1:]:
        assert line[1] == str(record[line[0]]["n"]) and line[3] == f"{100 * record[line[0]]['ua']:.1f} %"


def test_curves_begin_and_end_where_the_history_does(folder):
    text = run.page([folder], n_clips=0)
    assert 'aria-label="Loss of fold' in text and "best epoch 5" in text
    (loss,) = re.findall(r'<path class="line s1" d="([^"]*)"><title>training', text)
    points = [tuple(map(float, point.split())) for point in re.split("[ML]", loss)[1:]]
    heights = [(230 - 44 - y) / (230 - 12 - 44) * 2.5 for _, y in points]  # up to the largest loss, 2.5
    np.testing.assert_allclose(heights, [row["loss"] for row in HISTORY], atol=0.01)


def test_errors_are_the_surest_and_sound_as_their_files(folder):
    page = Page(run.page([folder], n_clips=3))
    check_alone(page)
    _, _, rows = columns(folder)
    wrong = sorted((row for row in rows if row["truth"] != row["prediction"]), key=lambda row: -row["largest"])
    names = re.findall(r"<h3>([^<]*)</h3>", page.source)
    assert names[:3] == [row["clip"] for row in wrong[:3]] and f"3 of {len(wrong)} wrong answers" in page.text
    (fold,) = open_source(open_run(folder).settings).folds
    path = next(clip.path for clip in fold.test if clip.name == names[0])
    sound = base64.b64decode(page.of("audio")[0]["src"].removeprefix("data:audio/mpeg;base64,"))
    decoded, original = soundfile.read(io.BytesIO(sound))[0], soundfile.read(path)[0]
    assert len(decoded) == len(original) and np.corrcoef(decoded, original)[0, 1] > 0.9


def test_attention_is_the_networks_and_sums_to_one(folder, rng):
    opened = open_run(folder)
    looks = attention_maps.looks_of(opened.fold_folders[0], opened.settings)
    features, weights = looks(rng.normal(0, 0.1, 16_000).astype(np.float32))
    (grid,) = weights.values()
    assert features.shape[1] == 12 and grid.shape == (-(-len(features) // 8), 2)  # three poolings by two
    assert grid.sum() == pytest.approx(1, abs=1e-5) and (grid >= 0).all()
    # By hand: the context that the network makes of these weights is the one that its head gets.
    model = load_model(opened.fold_folders[0] / "model.keras")
    _, network = attention_maps._attentive(model.layers[-1])
    found = next(layer for layer in network.layers if isinstance(layer, AttentionMap))
    assert list(weights) == [found.name]


def test_attention_is_coloured_above_its_mean_alone():
    features = np.zeros((40, 8))
    weights = np.full((40, 8), 0.1)
    weights[30:, :4] = 1.0
    picture = np.asarray(Image.open(io.BytesIO(attention_maps.overlay(features, weights))).convert("RGB")).astype(int)
    colour = picture[..., 0] - picture[..., 2]
    assert colour[100, 500] > 100 and abs(colour[100, 100]) < 8  # low bands are below
    assert abs(colour[20, 500]) < 8


def gone(*_):
    raise UserError("no corpus here")


def test_clips_without_the_corpus_say_so(own, monkeypatch, capsys):
    monkeypatch.setattr("zoo.runs.dataset.of_run", gone)
    page = Page(run.page([own], n_clips=2))
    assert page.of("audio") == [] and "The corpus was not found" in page.text
    assert "--data-root" in capsys.readouterr().err
    opened = open_run(own)
    with pytest.raises(UserError, match="no corpus here"):
        run_clips.shown(opened, run_clips.predictions(opened), "/elsewhere", 2)


def test_hostile_names_are_escaped(own, monkeypatch):
    rows = (own / "predictions.csv").read_text().splitlines()
    speaker = rows[1].split(",")[2]
    bad = "<script>alert(1)</script>"
    text = "\n".join(rows).replace(f",{speaker},", f",{bad},")
    (own / "predictions.csv").write_text(text + "\n")
    record = json.loads((own / "metrics.json").read_text())
    record["per_speaker"][bad] = record["per_speaker"].pop(speaker)
    write_json(own / "metrics.json", {**record, "warnings": ["<img src=//x.org/y>"]})
    monkeypatch.setattr("zoo.runs.dataset.of_run", gone)
    page = Page(run.page([own], n_clips=50))
    check_alone(page)
    assert "<script>alert(1)</script>" in page.text and "<img src=//x.org/y>" in page.text


def test_comparison_has_the_differences_of_the_runs(folder, own):
    (fold,) = open_source(open_run(folder).settings).folds
    answers(own, fold, seed=1)
    config = json.loads((own / "config.json").read_text())
    write_json(own / "config.json", {**config, "learning_rate": 0.5})
    page = Page(run.page([folder, own], n_clips=0))
    check_alone(page)
    wa = [json.loads((one / "metrics.json").read_text())["wa"]["value"] for one in (folder, own)]
    (line, _) = page.rows("Differences from")[1:]
    assert line[:2] == ["own", "WA"]
    assert float(line[2].split(" ")[0].replace("−", "-")) == pytest.approx(100 * (wa[1] - wa[0]), abs=0.06)
    assert 'aria-label="Difference in WA' in page.source


@pytest.fixture
def rated(tmp_path):
    """A run of ratings, with predictions drawn at random."""
    folder = tiny_runs.make(tmp_path / "rated", "conv_lstm", "recola", names=["0-x"])
    rows = continuous_rows()
    record = json.loads((folder / "metrics.json").read_text())
    rated = [row for row in rows if row["truth_arousal"]]
    clips = sorted({row["clip"] for row in rated})

    def of(prefix):
        names = [prefix + name for name in ("arousal", "valence")]
        return [np.array([[float(r[n]) for n in names] for r in rated if r["clip"] == clip]) for clip in clips]

    figures = regression.evaluate(of("truth_"), of(""), ("arousal", "valence"), clips)
    write_csv(folder / "predictions.csv", rows)
    write_json(folder / "metrics.json", {**record, **figures, "n_speakers": 6})
    return folder


def test_ratings_have_ccc_and_traces(rated):
    page = Page(run.page([rated]))
    check_alone(page)
    record = json.loads((rated / "metrics.json").read_text())["dimensions"]["arousal"]
    line = page.rows("In brackets the 95 % interval")[1]
    assert line[0] == "arousal" and line[2].startswith(f"{record['ccc']['value']:.3f} [")
    assert page.source.count('aria-label="arousal of dev_') == 3  # recordings
    traces = re.findall(r'<path class="line s3" d="([^"]*)"><title>raters', page.source)
    assert traces[0].count("L") == 28  # the last of 30 frames is without ratings


def test_a_run_without_predictions_is_refused(own):
    (own / "predictions.csv").unlink()
    with pytest.raises(UserError, match=r"predictions\.csv is absent"):
        run.page([own])


def test_a_run_without_a_test_side_has_its_curves_alone(own):
    (own / "predictions.csv").unlink()
    record = json.loads((own / "metrics.json").read_text())
    kept = ("model", "recipe", "corpus", "protocol", "synthetic", "bad_clips", "versions", "folds")
    write_json(own / "metrics.json", {**{name: record[name] for name in kept}, "sides": ["train", "validation"]})
    page = Page(run.page([own]))
    assert "no test side" in page.text and "Learning curves" in page.text and "Confusion" not in page.text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["RUN", "call.wav"], "call.wav: expected another run beside"),
        (["RUN", "--channels", "mix"], "--channels: for a recording"),
        (["RUN", "--errors", "-1"], "--errors is -1, expected 0 to 200"),
        (["RUN", "--data-root", "nowhere"], "--data-root is for real speech"),
    ],
)
def test_bad_input_ends_with_one_message(script, folder, words, said):
    code, _, errors = script("report.py", *[folder if word == "RUN" else word for word in words], "--out", "page.html")
    assert code == 2 and said in errors and errors.count("error:") == 1 and "Traceback" not in errors


def test_the_command_writes_a_page_of_a_run(script, folder, tmp_path):
    assert keras.backend.backend() == json.loads((folder / "config.json").read_text())["backend"] or pytest.skip(
        "backend"
    )
    code, shown, _ = script("report.py", folder, "--out", "page.html", "--errors", "1")
    assert code == 0 and shown.startswith("report: page.html (0.") and (tmp_path / "page.html").stat().st_size < 400_000
