"""Every job of `ser reproduce` runs to its end on synthetic speech, with networks of a few units."""

import numpy as np
import pytest
import small_networks
import soundfile

from zoo.reproduction import jobs, published
from zoo.utils.atomic_files import read_csv

# What makes each quick. All have --synthetic, one seed, one epoch and one fold where they train.
ZHAO = ["--corpus", "iemocap", "--clips", "50", "--fold", "0", "--epochs", "1", "--hop-ms", "80"]
RECOLA = ["--clips", "4", "--fold", "0", "--epochs", "1"]
RAVDESS = ["--clips", "192", "--fold", "0", "--epochs", "1", "--coefficients", "24", "--mel-bands", "24"]
D42 = ["--clips", "6", "--epochs", "1"]
D42_NOISE = [*D42, "--conditions", "0dB", "--noise", "NOISE"]
QUICK = {
    "zhao-table-5": [*ZHAO, "--bands", "12"],
    "zhao-table-6": ZHAO,
    "zhao-windows": [*ZHAO, "--bands", "12"],
    "zhao-table-7": [*ZHAO, "--bands", "12", "--option", "components=9"],
    "zhao-figure-2": ["--clips", "240"],
    "zhao-figure-3": [*ZHAO, "--weights", "random"],
    "zhao-figure-4": ["--clips", "40", *ZHAO[4:]],
    "bakhshi-table-1": [*RECOLA, "--only", "2-s-*"],
    "bakhshi-table-2": [*RECOLA, "--only", "2-s-batch-50-*"],
    "bakhshi-figure-2": [*RECOLA, "--only", "2-s-batch-50-*"],
    "bakhshi-pooling": [*RECOLA, "--segment-seconds", "0.8"],
    "tzirakis-table-2": [*RECOLA, "--segment-seconds", "0.8"],
    "tzirakis-figure-2": [*RECOLA, "--segment-seconds", "0.8"],
    "tzirakis-strides": [*RECOLA, "--segment-seconds", "0.8"],
    "khan-table-6": [*RAVDESS, "--only", "*-random-*"],
    "khan-figure-6": [*RAVDESS, "--only", "*-random-*"],
    "khan-figure-7": [*RAVDESS, "--only", "*-random-*"],
    "bakhshi-table-3": [*RECOLA, "--segment-seconds", "0.8"],
    "khan-table-5": [*RAVDESS, "--only", "*-random-*"],
    "d42-table-4.1": [*D42_NOISE, "--functional-seconds", "2", "--complexities", "1e-4"],
    "d42-figure-4.2": [*D42_NOISE, "--functional-seconds", "2", "--complexities", "1e-4"],
    "d42-table-5.2": ["--clips", "8", "--epochs", "1", "--feature-set", "egemaps", "--option", "recurrent_units=4"],
    "d42-table-5.3": D42,
    "d42-figure-5.1": [],
    "d42-figure-5.2": [],
    "d42-table-6.1": [*D42, "--segment-seconds", "2", "--complexities", "1e-3"],
    "d42-figure-6.2": [*D42, "--segment-seconds", "2", "--complexities", "1e-3"],
}


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Folder of the runs that are trained, for all jobs."""
    return tmp_path_factory.mktemp("kept")


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    """Folder of three recordings of noise."""
    folder, rng = tmp_path_factory.mktemp("noise"), np.random.default_rng(0)
    for number in range(3):
        soundfile.write(folder / f"n{number}.wav", 0.1 * rng.standard_normal(16_000), 16_000)
    return str(folder)


@pytest.mark.parametrize("name", jobs.JOBS)
def test_a_job_runs_to_its_end(name, script, monkeypatch, tmp_path, kept, noise):
    small_networks.shrink(monkeypatch)
    small_networks.train_once(monkeypatch, kept)
    job, out = jobs.JOBS[name], tmp_path / "out"
    quick = [noise if word == "NOISE" else word for word in QUICK[name]]
    code, printed, errors = script("reproduce.py", name, "--synthetic", "--seeds", "0", "--out", out, *quick)
    assert code == 0, errors
    place = out / name if job.runs_of else out
    rows = read_csv(place / "table.csv")
    assert [row["ours"] for row in rows if row["ours"]], "no figure of ours"
    assert ("SYNTHETIC DATA, no reproduction" in printed) == bool(job.corpora)
    text = (place / "table.md").read_text()
    for figure in published.tables()[name].figures.values() if name in published.tables() else ():
        assert figure.printed in text, figure
