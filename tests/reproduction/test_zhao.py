"""The tables and figures of Zhao et al. 2019 from runs whose predictions are drawn at random: nothing is trained."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from compared_runs import emotion_rows, write_run

from zoo.reproduction import jobs, published, zhao
from zoo.runs.dataset import resolve

SYNTHETIC = ("--synthetic", "--clips", 192)
SKILL = {"fcn": 0.3, "attention_blstm_fcn": 0.8, "deep_spectrum_svm": 0.8, "egemaps_svm": 0.3, "alexnet_svm": 0.2}


@pytest.fixture
def trained(monkeypatch):
    """Puts runs of random predictions in place of training; returns the settings of those that were asked for."""
    asked = {}

    def train(settings, resume=False):
        settings = resolve(settings)
        asked[settings.out] = settings
        rows = emotion_rows(SKILL.get(settings.model, 0.5), settings.seed)
        facts = {"corpus": settings.corpus, "protocol": settings.protocol, "synthetic": settings.synthetic}
        write_run(Path(settings.out), rows, settings.saved(), model=settings.model, **facts)

    monkeypatch.setattr("zoo.training.train.train", train)
    monkeypatch.setattr("zoo.config.packages.check", lambda settings: None)
    return asked


def table(folder, name="table.csv"):
    with (folder / name).open(newline="") as file:
        return list(csv.DictReader(file))


def of_models(asked):
    return [settings.model for settings in asked.values()]


def test_table_5_has_the_papers_rows_and_all_seven_networks_on_both_corpora(script, tmp_path, trained):
    code, printed, _ = script("reproduce.py", "zhao-table-5", *SYNTHETIC, "--out", "here")
    assert code == 0 and "SYNTHETIC DATA, no reproduction" in printed
    rows = {(row["row"], row["column"]): row for row in table(tmp_path / "here")}
    assert {row for row, _ in rows} == set(published.tables()["zhao-table-5"].rows)
    assert of_models(trained) == 2 * list(zhao.NETWORKS.values())
    assert [settings.corpus for settings in trained.values()] == 7 * ["iemocap"] + 7 * ["aibo"]
    assert (rows["fcn", "Aibo UA"]["published"], rows["Anchor models", "Aibo UA"]["published"]) == ("42.1 %", "44.0 %")
    assert rows["Anchor models", "Aibo UA"]["ours"] == "" != rows["fcn", "Aibo UA"]["ours"]
    record = json.loads((tmp_path / "here" / "iemocap" / "fcn" / "metrics.json").read_text())
    assert float(rows["fcn", "IEMOCAP UA"]["ours"]) == record["ua"]["value"]
    assert "recipe quick in place of paper" in rows["fcn", "IEMOCAP UA"]["note"]
    assert (tmp_path / "here" / "figure.png").is_file()
    tests = table(tmp_path / "here", "tests.csv")
    keys = ("better", "reference", "corpus", "figure", "whose")
    wanted = ["attention_blstm_fcn, 2 layers", "fcn", "iemocap", "WA", "published"]
    (theirs,) = (row for row in tests if [row[key] for key in keys] == wanted)
    assert float(theirs["z"]) == pytest.approx(2.92, abs=0.005) and theirs["stated"] == "p < .05"
    assert "by its own figures z 2.92, p .002" in printed


def test_another_corpus_has_the_tables_form_in_folders_of_the_models_own_names(script, tmp_path, trained):
    flags = ("--corpus", "ravdess", *SYNTHETIC, "--recipe", "tuned", "--epochs", 12, "--fold", "all")
    assert script("reproduce.py", "zhao-table-5", *flags, "--out", "here")[0] == 0
    assert [settings.out for settings in trained.values()] == [f"here/{model}" for model in zhao.NETWORKS.values()]
    for settings in trained.values():
        assert (settings.corpus, settings.recipe, settings.epochs, settings.seed) == ("ravdess", "tuned", 12, 0)
    rows = table(tmp_path / "here")
    assert len(rows) == 14 and {row["published"] for row in rows} == {"not in the paper"}
    assert {row["column"] for row in rows} == {"WA", "UA"}
    assert {row["note"] for row in rows} == {"recipe tuned in place of paper; epochs 12 (recipe: 50)"}
    assert {row["whose"] for row in table(tmp_path / "here", "tests.csv")} == {"ours"}


def test_several_seeds_are_one_row_of_their_mean(script, tmp_path, trained, monkeypatch):
    monkeypatch.setattr(zhao, "NETWORKS", {"fcn": "fcn", "attention_blstm_fcn, 2 layers": "attention_blstm_fcn"})
    flags = ("--corpus", "iemocap", *SYNTHETIC, "--seeds", 3, 5, "--out", "here")
    assert script("reproduce.py", "zhao-table-5", *flags)[0] == 0
    assert list(trained)[:2] == ["here/fcn-seed-3", "here/attention_blstm_fcn-seed-3"]
    row = next(row for row in table(tmp_path / "here") if (row["row"], row["column"]) == ("fcn", "IEMOCAP UA"))
    values = [
        json.loads((tmp_path / "here" / f"fcn-seed-{seed}" / "metrics.json").read_text())["ua"]["value"]
        for seed in (3, 5)
    ]
    assert float(row["ours"]) == pytest.approx(np.mean(values)) and float(row["low"]) < np.mean(values)
    assert "mean of seeds 3, 5" in row["note"]


@pytest.mark.parametrize(
    ("job", "setting", "values", "rows"),
    [
        ("zhao-table-6", "bands", [30, 40, 60, 80, 100], ["30 bands", "40 bands", "60 bands", "80 bands", "100 bands"]),
        ("zhao-windows", "window_ms", [15, 25, 40, 60, 80, 100, 150, 200], ["15 to 200 ms"]),
    ],
)
def test_tables_over_a_setting_vary_it_alone(script, tmp_path, trained, job, setting, values, rows):
    assert script("reproduce.py", job, "--corpus", "iemocap", *SYNTHETIC, "--out", "here")[0] == 0
    assert [getattr(settings, setting) for settings in trained.values()] == values
    others = {json.dumps({**s.saved(), setting: 0, "out": ""}, default=str) for s in trained.values()}
    assert len(others) == 1 and set(of_models(trained)) == {"attention_blstm_fcn"}
    found = table(tmp_path / "here")
    assert {row["row"] for row in found if row["column"] == "IEMOCAP UA"} == set(rows)
    assert sum(row["ours"] != "" for row in found) == 2 * len(values)


def test_table_7_leaves_out_of_each_run_what_has_no_effect_on_it(script, tmp_path, trained):
    flags = ("--corpus", "ravdess", *SYNTHETIC, "--recipe", "tuned", "--epochs", 12, "--option", "hidden_units=9")
    flags += ("--option", "components=8")
    code, printed, _ = script("reproduce.py", "zhao-table-7", *flags, "--out", "here")
    assert code == 0 and of_models(trained) == [
        *("attention_blstm_fcn", "egemaps_svm", "compare_pca_svm", "deep_spectrum_svm"),
    ]
    by_model = {settings.model: settings for settings in trained.values()}
    network = by_model["attention_blstm_fcn"]
    assert (network.recipe, network.epochs, network.option["hidden_units"]) == ("tuned", 12, 9)
    assert by_model["egemaps_svm"].recipe == "quick" and by_model["egemaps_svm"].option == {}
    assert by_model["compare_pca_svm"].option == {"components": 8}
    assert by_model["deep_spectrum_svm"].from_run.endswith("here/attention_blstm_fcn")
    rows = {row["row"]: row for row in table(tmp_path / "here") if row["column"] == "UA"}
    assert list(rows) == ["eGeMAPS", "ComParE", "deep spectrum", "AlexNet", "VGG16", "VGG19"]
    assert rows["AlexNet"]["ours"] == "" and "needs pre-trained weights" in rows["AlexNet"]["note"]
    assert "needs pre-trained weights" in printed


def test_table_7_takes_other_networks_of_table_5_where_their_runs_are_there(script, tmp_path, trained):
    flags = ("--corpus", "iemocap", *SYNTHETIC, "--out", "here")
    write_run(tmp_path / "here" / "fcn", emotion_rows(), {"model": "fcn"})
    assert script("reproduce.py", "zhao-table-7", *flags)[0] == 0
    assert [s.from_run.rpartition("/")[2] for s in trained.values() if s.from_run] == ["attention_blstm_fcn", "fcn"]
    rows = [row for row in table(tmp_path / "here") if row["row"] == "deep spectrum of fcn"]
    assert len(rows) == 2 and all(row["published"] == "not in the paper" for row in rows)


@pytest.mark.parametrize(("job", "corpus"), [("zhao-figure-3", "iemocap"), ("zhao-figure-4", "aibo")])
def test_figures_3_and_4_have_every_network_at_every_number_of_bands(script, tmp_path, trained, job, corpus):
    assert script("reproduce.py", job, *SYNTHETIC, "--weights", "random", "--out", "here")[0] == 0
    assert len(trained) == 5 * 5 and {settings.corpus for settings in trained.values()} == {corpus}
    images = [settings for settings in trained.values() if settings.model == "vgg16_svm"]
    assert [settings.image_bands for settings in images] == [30, 40, 60, 80, 100]
    joint = [settings for settings in trained.values() if settings.model == "deep_spectrum_svm"]
    for settings in joint:
        assert trained[f"here/{settings.from_run.rpartition('/')[2]}"].bands == int(settings.from_run.split("-")[-1])
    rows = table(tmp_path / "here")
    assert {(row["row"], row["published"]) for row in rows} == {
        (name, "not printed") for name in ("proposed", "AlexNet", "VGG16", "VGG19")
    }
    assert all("random weights" in row["note"] for row in rows if row["row"] != "proposed")
    assert len(table(tmp_path / "here", "tests.csv")) == 5 * 3 * 2


def test_weights_are_found_by_the_networks_names(script, tmp_path, trained):
    (tmp_path / "weights").mkdir()
    for name in ("alexnet.npz", "vgg16_weights_tf_dim_ordering_tf_kernels.h5", "vgg19.npz"):
        (tmp_path / "weights" / name).touch()
    flags = ("--corpus", "iemocap", *SYNTHETIC, "--weights", "weights", "--out", "here")
    assert script("reproduce.py", "zhao-table-7", *flags)[0] == 0
    found = {s.model: s.weights.rpartition("/")[2] for s in trained.values() if s.weights}
    assert found["vgg16_svm"] == "vgg16_weights_tf_dim_ordering_tf_kernels.h5" and len(found) == 3
    (tmp_path / "weights" / "vgg19.npz").unlink()
    code, _, error = script("reproduce.py", "zhao-table-7", *flags)
    assert code == 2 and "one file whose name begins with vgg19, found none" in error


def test_figure_2_draws_the_loudest_two_seconds_at_every_resolution(script, tmp_path, monkeypatch):
    drawn = {}
    monkeypatch.setattr(zhao.zhao_figures, "spectrograms", lambda pictures, seconds: drawn.update(pictures))
    code, printed, _ = script("reproduce.py", "zhao-figure-2", *SYNTHETIC, "--out", "here")
    assert (
        code == 0
        and "hop 10 ms" in printed
        and set(drawn) == {(b, w) for b in zhao.BANDS for w in zhao.PANEL_WINDOWS_MS}
    )
    assert {picture.shape for (bands, _), picture in drawn.items() if bands == 40} == {(200, 40)}


def test_the_loudest_fragment_is_found(monkeypatch):
    samples = np.zeros(5 * 16_000, np.float32)
    samples[40_000:64_000] = 0.5
    assert zhao.loudest(samples, 16_000) in range(40_000, 48_001)
    assert zhao.loudest(samples[:16_000], 16_000) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("zhao-table-6", "--bands", 20), "--bands 20: zhao-table-6 sets it itself"),
        (("zhao-table-5", "--weights", "random"), "--weights has no effect on any run of zhao-table-5"),
        (("zhao-table-7", "--weights", "nowhere"), "--weights nowhere: expected a folder with one file"),
        (("zhao-table-7", "--recipe", "tunde"), "--recipe tunde has no effect on any run of zhao-table-7"),
        (("zhao-table-5", "--option", "components=3"), "--option components has no effect on any run"),
        (("zhao-figure-2", "--epochs", 3), "--epochs has no effect on zhao-figure-2"),
        (("zhao-figure-2", "--bands", 3), "--bands 3: zhao-figure-2 sets it itself"),
    ],
)
def test_flags_that_do_nothing_are_refused(script, trained, words, said):
    code, _, error = script("reproduce.py", *words, "--synthetic")
    assert code == 2 and said in error and not trained


def test_all_jobs_are_listed_with_what_they_need():
    names = {job.name for job in zhao.JOBS}
    assert names <= set(jobs.JOBS) and names == {
        *(f"zhao-table-{number}" for number in (5, 6, 7)),
        "zhao-windows",
        *(f"zhao-figure-{number}" for number in (2, 3, 4)),
    }
    assert "IEMOCAP" in jobs.in_plain_text()
