"""What all jobs share: their runs, files, and what is refused."""

import json
from pathlib import Path

import pytest

from zoo.errors import UserError
from zoo.reproduction import jobs, side_by_side
from zoo.reproduction.job import Asked, Job, Result, Row, Training
from zoo.runs.dataset import resolve
from zoo.utils.atomic_files import read_csv, write_json

UA = {"value": 0.5, "low": 0.4, "high": 0.6}


def trainings(asked):
    for seed in asked.seeds:
        yield Training(f"fcn-seed-{seed}", {"model": "fcn", "seed": seed}, {"corpus": asked.corpora[0], "epochs": 7})


def result(asked, folders):
    rows = [Row("fcn", "IEMOCAP UA", UA, "%", run=str(folder)) for folder in folders.values()]
    return Result([*rows, Row("fcn|x", "tau", -0.25, note="by hand")], ["a line"])


@pytest.fixture
def trained(monkeypatch):
    """Lists zhao-table-5 as a table of fcn, whose training writes a record alone. Returns what was trained."""
    found = []

    def train(settings, resume=False):
        settings, folder = resolve(settings), Path(settings.out)
        found.append((settings, resume))
        facts = {"model": settings.model, "corpus": settings.corpus, "protocol": "p", "synthetic": settings.synthetic}
        more = {"bad_clips": [], "versions": {}, "notes": ["Actor_21: absent"], "leakage": ["chosen on test"]}
        write_json(folder / "config.json", settings.saved())
        write_json(folder / "metrics.json", {**facts, **more})

    job = Job("zhao-table-5", "Zhao, Table 5", "IEMOCAP", ("iemocap",), result, trainings)
    monkeypatch.setitem(jobs.JOBS, "zhao-table-5", job)
    monkeypatch.setattr("zoo.training.train.train", train)
    return found


def reproduce(script, *words):
    return script("reproduce.py", "zhao-table-5", "--synthetic", *words, "--out", "here")


def test_published_figures_stand_beside_ours(script, tmp_path, trained):
    code, printed, errors = reproduce(script)
    assert code == 0 and printed.startswith("SYNTHETIC DATA, no reproduction · Zhao, Table 5\n")
    assert "run 1 of 1: fcn-seed-0" in errors
    for line in ("chosen on test", "incomplete corpus: Actor_21: absent", "a line", "fcn|x: by hand"):
        assert line in printed
    rows = {(row["row"], row["column"]): row for row in read_csv(tmp_path / "here" / "table.csv")}
    ours = rows["fcn", "IEMOCAP UA"]
    assert [ours[name] for name in ("published", "ours", "low", "high", "unit")] == ["62.0 %", "0.5", "0.4", "0.6", "%"]
    assert rows["fcn|x", "tau"]["published"] == side_by_side.ELSEWHERE
    assert (rows["DNN+ELM", "IEMOCAP WA"]["published"], rows["DNN+ELM", "IEMOCAP WA"]["ours"]) == ("57.9 %", "")
    text = (tmp_path / "here" / "table.md").read_text()
    assert "| 62.0 % | 50.0 % [40.0, 60.0] |" in text and "| fcn\\|x |" in text and "- a line\n" in text
    about = json.loads((tmp_path / "here" / "about.json").read_text())
    assert (about["job"], about["synthetic"], about["flags"]) == ("zhao-table-5", True, ["--synthetic"])


def test_another_corpus_has_the_form_of_the_table_alone(script, tmp_path, trained):
    code, printed, _ = reproduce(script, "--corpus", "ravdess", "--clips", "192")
    assert code == 0 and "Zhao, Table 5, in its form on ravdess" in printed
    assert {row["published"] for row in read_csv(tmp_path / "here" / "table.csv")} == {side_by_side.ELSEWHERE}
    assert trained[0][0].corpus == "ravdess"


def test_seeds_and_usual_settings(script, trained):
    assert reproduce(script, "--seeds", "3", "1", "3", "--epochs", "2")[0] == 0
    assert [(one.seed, one.epochs, Path(one.out).name) for one, _ in trained] == [
        (3, 2, "fcn-seed-3"),
        (1, 2, "fcn-seed-1"),
    ]


def test_a_repeated_command_goes_on(script, trained):
    assert [reproduce(script)[0], reproduce(script)[0], reproduce(script, "--resume")[0]] == [0, 0, 0]
    assert [resume for _, resume in trained] == [False, True, True]
    assert trained[0][0].epochs == 7


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--model", "fcn"], "--model fcn: zhao-table-5 sets it itself, run by run. Leave it out"),
        (["--seed", "3"], "--seed 3: a table may have several. Give --seeds 3"),
        (["--data-root", "x"], "--synthetic and --data-root x exclude each other"),
        (["--resume"], "--resume: expected what an earlier start left in here, found nothing"),
        (["--corpus", "ravdes"], "Did you mean 'ravdess'?"),
        (["--only", "lstm*"], "--only lstm*: no run of zhao-table-5 has this name. They are: fcn-seed-0"),
    ],
)
def test_what_is_refused(script, tmp_path, trained, words, said):
    code, _, errors = reproduce(script, *words)
    assert code == 2 and said in errors and errors.count("\n") == 1
    assert not trained and not (tmp_path / "here").exists()


def test_folders_of_other_runs_and_jobs_are_refused(script, trained):
    assert reproduce(script)[0] == 0
    code, _, errors = reproduce(script, "--epochs", "2")
    assert code == 2 and "holds a run of another configuration: epochs was 7, now 2" in errors
    code, _, errors = script("reproduce.py", "d42-figure-5.1", "--out", "here")
    assert code == 2 and errors == "error: --out here holds zhao-table-5, not d42-figure-5.1. Give another folder\n"
    assert len(trained) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "expected the name of a table or figure, found none; --list has them all"),
        (["zhao-table-55"], "unknown table or figure 'zhao-table-55'. Did you mean 'zhao-table-5'?"),
        (["d42-figure-5.1", "--epochs", "3"], "--epochs has no effect on d42-figure-5.1, which trains nothing"),
    ],
)
def test_names_and_flags_that_are_refused(script, words, said):
    code, _, errors = script("reproduce.py", *words)
    assert code == 2 and said in errors and errors.count("\n") == 1


def test_the_list_says_what_data_each_needs(script):
    code, printed, _ = script("reproduce.py", "--list")
    assert code == 0 and all(job.name in printed and f"needs {job.needs}" in printed for job in jobs.JOBS.values())


def test_options_are_merged_and_those_of_the_job_kept():
    job = Job("j", "t", "n", ("iemocap",), result)
    asked = Asked(job, Path("o"), (0,), {"synthetic": True, "option": ["dropout=0.5"]})
    one = Training("a", {"model": "fcn", "option": {"hidden_units": 4}}, {"option": {"dropout": 0.1, "pool_size": 1}})
    assert {"dropout": 0.5, "pool_size": 1, "hidden_units": 4}.items() <= asked.config(one).option.items()
    clash = Asked(job, Path("o"), (0,), {"synthetic": True, "option": ["hidden_units=5"]})
    with pytest.raises(UserError, match="--option hidden_units=5: j sets it itself"):
        clash.config(one)
