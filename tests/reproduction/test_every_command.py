"""Every job of `ser reproduce` runs to its end on synthetic speech, with networks of a few units."""

import pytest
import small_networks

from zoo.reproduction import jobs, published
from zoo.utils.atomic_files import read_csv

# What makes each quick. All have --synthetic, one seed, one epoch and one fold where they train.
ZHAO = ["--corpus", "iemocap", "--clips", "50", "--fold", "0", "--epochs", "1", "--hop-ms", "80"]
QUICK = {
    "zhao-table-5": [*ZHAO, "--bands", "12"],
    "zhao-table-6": ZHAO,
    "zhao-windows": [*ZHAO, "--bands", "12"],
    "zhao-table-7": [*ZHAO, "--bands", "12", "--option", "components=9"],
    "zhao-figure-2": ["--clips", "240"],
    "zhao-figure-3": [*ZHAO, "--weights", "random"],
    "zhao-figure-4": ["--clips", "40", *ZHAO[4:]],
    "bakhshi-table-3": ["--fold", "0", "--segment-seconds", "0.8", "--epochs", "1"],
    "khan-table-5": ["--clips", "192", "--fold", "0", "--epochs", "1", "--coefficients", "24", "--mel-bands", "24"],
}


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Folder of the runs that are trained, for all jobs."""
    return tmp_path_factory.mktemp("kept")


@pytest.mark.parametrize("name", jobs.JOBS)
def test_a_job_runs_to_its_end(name, script, monkeypatch, tmp_path, kept):
    small_networks.shrink(monkeypatch)
    small_networks.train_once(monkeypatch, kept)
    job, out = jobs.JOBS[name], tmp_path / "out"
    code, printed, errors = script("reproduce.py", name, "--synthetic", "--seeds", "0", "--out", out, *QUICK[name])
    assert code == 0, errors
    place = out / name if job.runs_of else out
    rows = read_csv(place / "table.csv")
    assert [row["ours"] for row in rows if row["ours"]], "no figure of ours"
    assert ("SYNTHETIC DATA, no reproduction" in printed) == bool(job.corpora)
    text = (place / "table.md").read_text()
    for figure in published.tables()[name].figures.values() if name in published.tables() else ():
        assert figure.printed in text, figure
