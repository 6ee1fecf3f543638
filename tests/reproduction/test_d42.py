"""What the jobs of D4.2 choose, pool and compare, on runs written by hand; published.toml against the deliverable."""

import csv
import json

import audmetric
import numpy as np
import pytest

from zoo.errors import DivergedError, UserError
from zoo.metrics import regression
from zoo.reproduction import d42_noise, d42_rates, d42_ratings, d42_traces, jobs, published
from zoo.reproduction.job import DIVERGED, Asked, Training

FOLDS, CLIPS = ("0-a", "1-b"), 3


def asked(name, out, **given):
    return Asked(jobs.JOBS[name], out, (0,), given)


def write_run(folder, validation, error, rng):
    """A finished run: in each fold the validation CCC of the epoch kept, the second of three, and test predictions."""
    truth = {fold: np.random.default_rng(number).normal(size=(CLIPS, 50)) for number, fold in enumerate(FOLDS)}
    about = {"corpus": "recola", "protocol": "recola-full v1", "synthetic": False, "warnings": []}
    for fold in FOLDS:
        place = folder / f"fold-{fold}"
        place.mkdir(parents=True)
        (place / "metrics.json").write_text(json.dumps({"best_epoch": 2, **about}))
        with (place / "history.csv").open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["epoch", "validation_ccc_arousal", "validation_ccc_valence"])
            table.writerows([[1, 0.9, 0.9], [2, *validation[fold]], [3, 0.9, 0.9]])
        with (place / "predictions.csv").open("w", newline="") as file:
            table = csv.writer(file)
            names = [f"{kind}{name}" for name in d42_rates.DIMENSIONS for kind in ("truth_", "", "postprocessed_")]
            table.writerow(["corpus", "fold", "clip", "speaker", "time", *names])
            for clip, values in enumerate(truth[fold]):
                for frame, value in enumerate(values):
                    found = value + error * rng.normal()
                    cells = [value, 2 * found, found] * 2 if frame else ["", found, found] * 2  # nobody rated the first
                    table.writerow(["recola", fold, f"{fold}-{clip}", f"s{clip}", f"{0.04 * frame:.2f}", *cells])
    (folder / "metrics.json").write_text(json.dumps(about))
    return folder


@pytest.fixture
def folders(tmp_path, rng):
    """Two losses at three rates; ccc diverged at the highest."""
    by_fold = {1e-2: (0.5, 0.1), 1e-3: (0.3, 0.2), 1e-4: (0.4, 0.1)}
    made = {}
    for loss, error in (("sse", 1.0), ("ccc", 0.3)):
        for rate, (arousal, valence) in by_fold.items():
            name = f"{loss}-rate-{rate:g}-seed-0"
            scores = {FOLDS[0]: (arousal, valence), FOLDS[1]: (-arousal, "" if rate == 1e-3 else valence)}
            made[name] = write_run(tmp_path / name, scores, error + 100 * rate, rng)
    (made["ccc-rate-0.01-seed-0"] / DIVERGED).write_text("{}")
    return made


def test_each_fold_and_dimension_takes_the_rate_of_its_own_validation(folders):
    found = {name: d42_rates.measure(folders, "sse", 0, name) for name in d42_rates.DIMENSIONS}
    chosen = {name: [(one.fold, one.rate, one.validation_ccc) for one in item.choices] for name, item in found.items()}
    assert chosen["arousal"] == [("0-a", 1e-2, 0.5), ("1-b", 1e-3, -0.3)]
    assert chosen["valence"] == [("0-a", 1e-3, 0.2), ("1-b", 1e-2, 0.1)], "an undefined CCC is never the best"
    (first, _) = d42_rates.measure(folders, "ccc", 0, "arousal").choices
    assert first.rate == 1e-4 and first.tried == {"0.01": None, "0.001": 0.3, "0.0001": 0.4} and first.epoch == 2


def test_no_test_rating_changes_the_choice(folders):
    """The run of the rate that validation did not choose becomes perfect on the test recordings."""
    before = d42_rates.measure(folders, "sse", 0, "arousal")
    for fold in FOLDS:
        path = folders["sse-rate-0.0001-seed-0"] / f"fold-{fold}" / "predictions.csv"
        (header, *rows) = csv.reader(path.read_text().splitlines())
        perfect = [[*row[:5], row[5], row[5] or "0", row[5] or "0", *row[8:]] for row in rows]
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([header, *perfect])
    after = d42_rates.measure(folders, "sse", 0, "arousal")
    assert after.choices == before.choices and after.after == before.after


def test_figures_are_those_of_the_chosen_runs_rated_frames(folders):
    found = d42_rates.measure(folders, "sse", 0, "arousal")
    truth, after, before = [], [], []
    for fold, rate in zip(FOLDS, ("0.01", "0.001"), strict=True):
        with (folders[f"sse-rate-{rate}-seed-0"] / f"fold-{fold}" / "predictions.csv").open() as file:
            rows = [row for row in csv.DictReader(file) if row["truth_arousal"]]
        for column, name in ((truth, "truth_arousal"), (after, "postprocessed_arousal"), (before, "arousal")):
            column += [float(row[name]) for row in rows]
    assert len(truth) == 2 * CLIPS * 49
    assert found.after["ccc"]["value"] == pytest.approx(audmetric.concordance_cc(truth, after))
    assert found.before["ccc"]["value"] == pytest.approx(audmetric.concordance_cc(truth, before))
    assert found.after["pearson"] == pytest.approx(np.corrcoef(truth, after)[0, 1])


def test_the_choice_is_kept_and_the_edge_of_the_grid_said(folders, tmp_path):
    found = [d42_rates.measure(folders, loss, 0, "arousal") for loss in ("sse", "ccc")]
    lines = d42_rates.keep(tmp_path, found)
    kept = json.loads((tmp_path / "rates.json").read_text())
    assert kept["rates"] == list(d42_rates.RATES)
    assert [(one["objective"], one["fold"], one["rate"]) for one in kept["choices"]][:2] == [
        ("sse", "0-a", 1e-2),
        ("sse", "1-b", 1e-3),
    ]
    assert "sse arousal 0.01 0.001" in lines[0] and lines[1].endswith("might give another: sse")
    said = d42_rates.comparison(*found, ("sse", "ccc"))
    difference = found[1].after["ccc"]["value"] - found[0].after["ccc"]["value"]
    assert said.startswith(f"arousal, ccc less sse: CCC {difference:+.3f} [") and "over 294 frames" in said
    for folder in folders.values():
        (folder / DIVERGED).write_text("{}")
    assert d42_rates.measure(folders, "ccc", 0, "arousal") is None


def test_every_objective_has_every_rate_and_one_where_it_is_given(tmp_path):
    runs = list(jobs.JOBS["d42-table-5.3"].runs(asked("d42-table-5.3", tmp_path)))
    tried = [(one.fixed["loss"], one.fixed["learning_rate"]) for one in runs]
    assert tried == [(loss, rate) for loss in ("sse", "ccc_sum", "ccc") for rate in d42_rates.RATES]
    config = asked("d42-table-5.3", tmp_path, epochs=3).config(runs[0])
    assert (config.recipe, config.loss_reduction, config.protocol, config.epochs) == ("paper", "sum", "recola-full", 3)
    given = asked("d42-table-5.3", tmp_path, learning_rate=0.5)
    (one, *_) = jobs.JOBS["d42-table-5.3"].runs(given)
    assert given.config(one).learning_rate == 0.5
    music = list(jobs.JOBS["d42-table-5.2"].runs(asked("d42-table-5.2", tmp_path)))
    assert len(music) == 2 * 3 * 6 and {one.fixed["option"]["recurrent_units"] for one in music} == {192, 256}


def test_table_4_1_fits_one_regression_on_clean_speech(tmp_path):
    """No regression is in noise or behind an enhancer in training; every autoencoder is of its own conditions."""
    wanted = asked("d42-table-4.1", tmp_path, noise="joined:NOISE", epochs=2, label_delay_seconds=0.0)
    configs = {one.name: wanted.config(one) for one in jobs.JOBS["d42-table-4.1"].runs(wanted)}
    regressions = {name: one for name, one in configs.items() if one.model == "mfcc_svr"}
    assert len(regressions) == 1 + 14 + 2 and len(configs) == 1 + 2 * 16
    for name, one in regressions.items():
        assert not one.noise and one.label_delay_seconds == 0
        assert one.enhanced == ("all" if name == "regression-seed-0" else "test")
        if one.enhancer:
            assert one.enhancer == str(tmp_path / name.removeprefix("regression-"))
    clean, phone = (configs[f"matched-{name}-seed-0"] for name in ("clean", "telephone+hall"))
    assert (clean.conditions, clean.speech, clean.detector, clean.epochs) == (("clean",), "noisy", "none", 2)
    assert phone.conditions == ("telephone+hall",) and phone.learning_rate == 1e-6 and phone.loss_reduction == "sum"
    mixed = configs["mixed-noise-seed-0"]
    assert mixed.conditions == d42_noise.RATIOS and mixed.speech == "both"
    assert configs["mixed-smartphone-seed-0"].conditions == d42_noise.SMARTPHONE


def test_a_mean_over_ratios_is_that_of_their_ccc_and_speakers_are_drawn_together(rng):
    truth = rng.normal(size=(2, 4, 60, 2))  # conditions, speakers, frames, dimensions
    found = truth + rng.normal(size=truth.shape) * np.array([0.2, 1.0])[:, None, None, None]
    group = [[regression.moments(*pair) for pair in zip(*one, strict=True)] for one in zip(truth, found, strict=True)]
    arousal, valence = d42_noise._rows("matched", group, "")
    for k, row in enumerate((arousal, valence)):
        expected = np.mean(
            [audmetric.concordance_cc(truth[c, ..., k].ravel(), found[c, ..., k].ravel()) for c in (0, 1)]
        )
        assert row.ours["value"] == pytest.approx(expected) and row.ours["low"] < expected < row.ours["high"]


def test_altered_traces_have_the_printed_ccc(tmp_path):
    """By audmetric, to two decimals, on the traces that the jobs draw."""
    y = d42_traces.MEAN + d42_traces.DEVIATION * d42_traces._contour(0)
    for altered, printed in ((y - 1, 0.07), (2 * y, 0.78), (2 * y - 1, 0.15)):
        assert round(audmetric.concordance_cc(y, altered), 2) == printed
    for name in ("d42-figure-5.1", "d42-figure-5.2"):
        result = jobs.JOBS[name].result(asked(name, tmp_path), {})
        for row in result.rows:
            assert round(row.ours, 2) == published.find(name, row.row, row.column).value
        assert result.figure is not None


def test_flags_of_one_network_are_not_those_of_another(tmp_path):
    runs = {one.name: one for one in d42_ratings._systems(asked("d42-table-6.1", tmp_path))}
    wanted = asked("d42-table-6.1", tmp_path, epochs=2, complexities=[1e-3], learning_rate=0.5)
    svr, network = (wanted.config(runs[name]) for name in ("SVR-ComParE-seed-0", "network-ccc-seed-0"))
    assert svr.complexities == (1e-3,) and svr.feature_set == "compare_five" and svr.label_delay_seconds == 0
    assert network.epochs == 2 and network.learning_rate == 2e-3, "fixed in the deliverable"
    with pytest.raises(UserError, match="--speech has no effect on egemaps_svr"):
        asked("d42-table-6.1", tmp_path, speech="both").config(runs["SVR-ComParE-seed-0"])


def test_a_rate_that_diverges_has_no_figures_and_is_not_tried_again(tmp_path, monkeypatch):
    from zoo.reproduction import run_job
    from zoo.training import train as training

    tried = []

    def train(settings, resume):
        tried.append(settings.out)
        raise DivergedError("values that are not finite")

    monkeypatch.setattr(training, "train", train)
    wanted = asked("d42-table-5.3", tmp_path)
    one = next(iter(jobs.JOBS["d42-table-5.3"].runs(wanted)))
    settings = wanted.config(one)
    run_job._train(settings, may_diverge=True)
    run_job._train(settings, may_diverge=True)
    assert len(tried) == 1 and json.loads((tmp_path / one.name / DIVERGED).read_text())["reason"]
    other = wanted.config(Training("other", one.fixed))
    with pytest.raises(DivergedError):
        run_job._train(other, may_diverge=False)
