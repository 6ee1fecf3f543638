"""Ablations: ingredients of a recipe, the runs, their records and table; resuming."""

import csv
import json

import pytest

from zoo.config.flags import from_flags
from zoo.config.run_config import RunConfig
from zoo.data.synthetic.corpora import synthesize
from zoo.errors import UserError
from zoo.recipes import RESIDUAL_BIGRU
from zoo.studies import ablation, ablation_report, validation_runs

GIVEN = {"model": "residual_bigru", "corpus": "ravdess", "recipe": "small_data"}


@pytest.fixture(scope="module")
def base():
    return from_flags(GIVEN)


def settings(given, name, changes):
    return ablation.settings(given, ablation.Variant(name, changes))


def changes(variants):
    return {variant.name: dict(variant.changes) for variant in variants}


def test_ingredients_are_what_the_recipe_has_beyond_the_defaults(base):
    found = ablation.ingredients(base)
    recipe = RESIDUAL_BIGRU["small_data"]
    for name in ("mixup", "tempo", "band-shift", "weight-average", "label-smoothing", "clip-mean", "schedule"):
        field = name.replace("-", "_")
        assert found[name] == {field: recipe[field]} and recipe[field] != getattr(RunConfig, field)
    assert not {"epochs", "batch-size", "learning-rate", "floor", "option", "model"} & found.keys()


def test_each_is_left_out_and_alone(base):
    found = ablation.variants(base, {}, ["mixup", "tempo"])
    assert [variant.name for variant in found] == [
        *("recipe", "without mixup", "without tempo", "plain", "mixup alone", "tempo alone")
    ]
    by_name = changes(found)
    assert by_name["recipe"] == {} and by_name["without mixup"] == {"mixup": 0.0}
    off = by_name["plain"]
    assert off["mixup"] == off["tempo"] == 0.0 and off["schedule"] == "decay", "also of those that are not studied"
    assert by_name["tempo alone"] == {**off, "tempo": 0.17}
    assert {variant.against for variant in found} == {"", "recipe", "plain"}
    whole = settings(GIVEN, "plain", by_name["plain"])
    assert ablation.ingredients(whole) == {} and whole.batch_size == base.batch_size


def test_further_ingredients_are_added_and_those_held_left_out(base):
    further = {"speeds": {"augment_waveforms": "speed", "copies": 2}, "masks": {"augment": "specaugment"}}
    by_name = changes(ablation.variants(base, further, ["speeds", "masks"]))
    assert by_name["with speeds"] == further["speeds"] and by_name["without masks"] == {"augment": "none"}
    alone = settings(GIVEN, "speeds alone", by_name["speeds alone"])
    assert (alone.augment_waveforms, alone.copies, alone.mixup) == ("speed", 2, 0.0)


def test_what_goes_with_an_ingredient_is_left_out_with_it():
    given = {**GIVEN, "augment_waveforms": "speed", "copies": 5}
    by_name = changes(ablation.variants(from_flags(given), {}, ["augment-waveforms"]))
    left = settings(given, "without", by_name["without augment-waveforms"])
    assert (left.augment_waveforms, left.copies) == ("none", RunConfig.copies)
    with pytest.raises(
        UserError, match=r"with copies: --copies has no effect without .* name those to study with --on"
    ):
        settings(GIVEN, "with copies", {"copies": 5})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[1]", "expected ingredients, found"),
        ("{", "expected ingredients, found no JSON"),
        ('{"a": {"mixupp": 1}}', "unknown setting of a in .*'mixupp'. Did you mean 'mixup'"),
        ('{"a/b": {"mixup": 1}}', "'a/b': expected a name of letters"),
        ('{"a": {}}', "'a': expected a name of letters, digits, - and _, with settings"),
        (None, "expected ingredients, but No such file"),
    ],
)
def test_files_of_ingredients_that_cannot_be_read(tmp_path, content, said):
    path = tmp_path / "further.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=said):
        ablation.read_further(path)


def test_unknown_ingredients_are_refused(base):
    with pytest.raises(UserError, match=r"unknown ingredient 'mixxup'\. Did you mean 'mixup'"):
        ablation.variants(base, {}, ["mixxup"])


def fake(variant, seed, ua, best):
    facts = {"model": "m", "recipe": "r", "corpus": "c", "protocol": "p v1", "synthetic": False, "fold": "3-x"}
    facts |= {"epochs": 40, "notes": [], "warnings": [], "scored_clips": 9, "scored_speakers": ["a"]}
    scores = {"seed": seed, "ua": ua, "best_ua": best, "best_epoch": 7, "seconds_per_epoch": 2.0}
    return {**facts, **scores, "name": f"{variant}-{seed}"}


def test_differences_are_paired_by_seed_and_unfinished_variants_have_none(tmp_path):
    variants = [ablation.Variant("recipe", {}), ablation.Variant("without x", {"x": 0}, "recipe")]
    variants.append(ablation.Variant("plain", {"x": 0}))
    records = {
        "recipe": [fake("recipe", 0, 0.5, 0.6), fake("recipe", 1, 0.7, 0.8)],
        "without x": [fake("without x", 1, 0.6, 0.9)],  # 0.6 - 0.7: not against the mean over both seeds
    }
    ablation_report.write(variants, records, tmp_path, "command")
    rows = {row["variant"]: row for row in csv.DictReader((tmp_path / "table.csv").open())}
    assert float(rows["without x"]["difference"]) == pytest.approx(-0.1)
    assert float(rows["recipe"]["last_epochs_ua"]) == pytest.approx(0.6) and rows["plain"]["last_epochs_ua"] == ""
    text = (tmp_path / "table.md").read_text()
    assert "| recipe | 60.0 ± 14.1 |  | 70.0 | 7 7 | 0 1 | 2.0 |" in text
    assert "| without x | 60.0 | -10.0 against recipe | 90.0 | 7 | 1 | 2.0 |" in text
    assert "2 of 3 variants are finished" in text and "optimistic" in text
    assert (tmp_path / "table.png").read_bytes().startswith(b"\x89PNG")


@pytest.fixture(scope="module")
def twin(tmp_path_factory):
    return synthesize("ravdess", tmp_path_factory.mktemp("twin") / "ravdess", 192, seconds=(0.3, 0.4))


def scored(fold, config, progress):
    """Training that is quick: its scores differ by the setting that is studied."""
    level = 0.3 if config.class_weights == "none" else 0.2
    return [
        {"epoch": epoch, "loss": 2.0, "validation_ua": level + epoch / 100, "validation_loss": 1.0, "seconds": 2.0}
        for epoch in range(1, config.epochs + 1)
    ]


def test_the_command_trains_records_and_goes_on(script, twin, tmp_path, monkeypatch):
    monkeypatch.setattr(validation_runs, "fit", scored)
    words = ["--model", "fcn", "--corpus", "ravdess", "--data-root", twin, "--protocol", "ravdess-inner", "--fold", "3"]
    words += ["--bands", "8", "--option", "hidden_units=8", "--epochs", "30", "--class-weights", "none"]
    words += ["--only", "class-weights", "--out", "out"]
    code, _, errors = script("ablate.py", *words)
    assert code == 0, errors
    names = ["class-weights-alone-seed-0", "plain-seed-0", "recipe-seed-0", "without-class-weights-seed-0"]
    assert sorted(path.stem for path in (tmp_path / "out").glob("*.json")) == names
    record = json.loads((tmp_path / "out" / "recipe-seed-0.json").read_text())
    # Epochs 21 to 30: 0.3 + 0.255 on average; the last is the best.
    assert record["ua"] == pytest.approx(0.555)
    assert (record["best_ua"], record["best_epoch"]) == (pytest.approx(0.6), 30)
    assert record["scored_speakers"] == [f"Actor_{actor}" for actor in (13, 14, 15, 16)]
    assert (record["train_clips"], record["scored_clips"], record["sides"]) == (96, 32, ["train", "validation"])
    assert record["settings"]["patience"] == 30, "all epochs are trained"
    other = json.loads((tmp_path / "out" / "without-class-weights-seed-0.json").read_text())
    assert other["settings"]["class_weights"] == "inverse" and other["about"]["changes"] == {"class_weights": "inverse"}
    table = (tmp_path / "out" / "table.md").read_text()
    assert "| without class-weights | 45.5 | -10.0 against recipe | 50.0 | 30 | 0 | 2.0 |" in table
    assert "variants are finished" not in table

    monkeypatch.setattr(validation_runs, "fit", None)  # whatever is finished is not trained again
    assert script("ablate.py", *words)[0] == 0
    for more, said in (
        (["--learning-rate", "0.5"], "learning_rate was 0.001, now 0.5. Give another --out"),
        (["--seed", "1"], "--seed 1 has no effect here; give --seeds"),
        (["--patience", "3"], "--patience 3 has no effect here"),
        (["--fold", "all"], "expected the number of one fold with validation clips"),
        (["--protocol", "ravdess-strangers", "--fold", "0"], "expected the number of one fold with validation clips"),
        (["--model", "egemaps_svm"], "has no effect on egemaps_svm"),
    ):
        code, _, errors = script("ablate.py", *words, *more)
        assert code == 2 and said in errors
