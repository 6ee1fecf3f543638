"""The z-tests of Zhao et al. 2019: the paper's own figures, and finished runs."""

import math

import pytest
from compared_runs import emotion_rows, write_run
from scipy.stats import norm

from zoo.reproduction import zhao_tests
from zoo.reproduction.zhao_tests import Claim
from zoo.runs.folder import read_record

CLAIM = Claim("attention_blstm_fcn", "fcn", 0.05)


def test_the_papers_figures_bear_its_tests_out():
    """68.1 and 64.5 % of 2,943 clips, worked by hand: z = .036 / sqrt(.663 * .337 * 2 / 2943) = 2.92."""
    figures = {"attention_blstm_fcn": {"WA": 0.681, "UA": 0.670}, "fcn": {"WA": 0.645, "UA": 0.620}}
    wa, ua = zhao_tests.published([CLAIM], "iemocap", figures)
    assert (wa["figure"], wa["stated"], wa["whose"]) == ("WA", "p < .05", "published")
    assert wa["z"] == pytest.approx(2.92, abs=0.005) and wa["p_z_test"] == pytest.approx(norm.sf(2.92), rel=0.02)
    assert ua["p_z_test"] < wa["p_z_test"] < 0.05


def test_what_is_not_printed_or_not_of_the_papers_corpora_has_no_published_test():
    figures = {"attention_blstm_fcn": {"UA": 0.454}, "fcn": {"UA": 0.421}}
    assert [row["figure"] for row in zhao_tests.published([CLAIM], "aibo", figures)] == ["UA"]
    assert zhao_tests.published([CLAIM], "ravdess", figures) == []
    assert zhao_tests.published([CLAIM], "aibo", {"fcn": {"UA": 0.421}}) == []


@pytest.fixture
def folders(tmp_path):
    return {
        name: [
            write_run(tmp_path / f"{name}-{seed}", emotion_rows(skill, seed), {"model": name, "seed": seed})
            for seed in (0, 1)
        ]
        for name, skill in (("fcn", 0.3), ("attention_blstm_fcn", 0.8))
    }


def test_runs_are_tested_one_tailed_and_over_speakers(folders):
    wa, ua = zhao_tests.ours([CLAIM], "emodb", folders)
    records = {name: [figures_of(folder) for folder in of_seeds] for name, of_seeds in folders.items()}
    for row, figure in ((wa, "wa"), (ua, "ua")):
        a, b = (sum(one[figure] for one in records[name]) / 2 for name in ("fcn", "attention_blstm_fcn"))
        z = (b - a) / math.sqrt((a + b) / 2 * (1 - (a + b) / 2) * 2 / 48)
        assert row["difference"] == pytest.approx(b - a) and row["z"] == pytest.approx(z)
        assert row["p_z_test"] == pytest.approx(norm.sf(z))
        assert row["low"] < row["difference"] < row["high"]
        assert row["p_sign_flips"] >= row["least_p_sign_flips"] == 2**-5  # six speakers
    (wa, _) = zhao_tests.ours([Claim("fcn", "attention_blstm_fcn", 0.05)], "emodb", folders)
    assert wa["z"] < 0 and wa["p_z_test"] > 0.5, "the other way round nothing is shown"


def figures_of(folder):
    record = read_record(folder)
    return {name: record[name]["value"] for name in ("wa", "ua")}


def test_a_row_without_a_run_and_a_single_speaker(folders, tmp_path):
    assert zhao_tests.ours([CLAIM, Claim("fcn", "alexnet_svm", 0.01)], "emodb", {"fcn": folders["fcn"]}) == []
    single = {
        name: [write_run(tmp_path / f"one-{name}", emotion_rows(skill, n_speakers=1), {"model": name})]
        for name, skill in (("fcn", 0.3), ("attention_blstm_fcn", 0.8))
    }
    for row in zhao_tests.ours([CLAIM], "emodb", single):
        assert row["low"] is row["high"] is row["p_sign_flips"] is None
