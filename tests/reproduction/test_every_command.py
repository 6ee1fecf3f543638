"""Every job of `ser reproduce` runs to its end on synthetic speech, with networks of a few units."""

import pytest
import small_networks

from zoo.reproduction import jobs, published
from zoo.utils.atomic_files import read_csv

# What makes each quick. All have --synthetic, one seed, one epoch and one fold where they train.
QUICK = {
    "bakhshi-table-3": ["--fold", "0", "--segment-seconds", "0.8", "--epochs", "1"],
    "khan-table-5": ["--clips", "192", "--fold", "0", "--epochs", "1", "--coefficients", "24", "--mel-bands", "24"],
}


@pytest.mark.parametrize("name", jobs.JOBS)
def test_a_job_runs_to_its_end(name, script, monkeypatch, tmp_path):
    small_networks.shrink(monkeypatch)
    job, out = jobs.JOBS[name], tmp_path / "out"
    code, printed, errors = script("reproduce.py", name, "--synthetic", "--seeds", "0", "--out", out, *QUICK[name])
    assert code == 0, errors
    rows = read_csv(out / "table.csv")
    assert [row["ours"] for row in rows if row["ours"]], "no figure of ours"
    assert ("SYNTHETIC DATA, no reproduction" in printed) == bool(job.corpora)
    text = (out / "table.md").read_text()
    for figure in published.tables()[name].figures.values() if name in published.tables() else ():
        assert figure.printed in text, figure
