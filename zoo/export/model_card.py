"""Write the card of an exported model: its training data, its figures by speaker and class, and its commands."""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo.config import saved
from zoo.config.run_config import RunConfig
from zoo.data.corpora import registry as corpora
from zoo.runs import command_line, folds_of_final, own_pool
from zoo.runs.folder import check_holds, finished_folds, is_tested
from zoo.runs.protocol import protocol_of
from zoo.serving.description import DESCRIPTION
from zoo.utils.atomic_files import written_aside

_WORST = 3  # classes that are listed
_OF_CLASSES = ("classes", "n_clips", "ua", "wa", "per_speaker", "per_class", "confusion")

Figures = Mapping[str, Any]


def write(version: Path, run: Path, fold: str | None = None, notes: Sequence[str] = ()) -> Path:
    """Write OUT/model_card.md for the export OUT/N of a run (or of one of its folds); returns its path.

    `notes` are sentences on the data that neither corpus nor run can know, such as a stand-in's origin.
    """
    path = version.parent / "model_card.md"
    description = json.loads((version / DESCRIPTION).read_text())
    folders, record = finished_folds(run, fold)
    place = run if fold is None else folders[0]
    figures = ("dimensions",) if description["task"] == "continuous" else _OF_CLASSES
    needed = ("corpus", "leakage", "notes", *(figures if is_tested(record) else ()))
    check_holds(record, needed, place / "metrics.json")
    parts = [
        _head(version, description),
        _data(description, record, notes, saved.load(run / "config.json")),
        _ratings(record) if description["task"] == "continuous" else _classes(description, record),
        _origin(version, description, run, record),
    ]
    with written_aside(path) as aside:
        aside.write_text("\n".join(line for part in parts for line in part) + "\n")
    return path


def carry_over(old: Path, new: Path) -> Path | None:
    """Write the card beside the export `old` for `new`, made anew of it; return its path, None where there is none."""
    card = old.parent / "model_card.md"
    if not card.is_file():
        return None
    text = card.read_text().replace(f", version {old.name}.", f", version {new.name}.", 1)
    before, after = (json.loads((version / DESCRIPTION).read_text())["files"] for version in (old, new))
    for name, digest in before.items():
        text = text.replace(digest, after.get(name, digest))
    text += "".join(f"- `{digest}` {name}\n" for name, digest in after.items() if name not in before)
    path = new.parent / "model_card.md"
    with written_aside(path) as aside:
        aside.write_text(text)
    return path


def _head(version: Path, description: Figures) -> Iterator[str]:
    yield f"# {version.parent.name}\n"
    yield f"`{description['model']}` ({description['paper']}), version {version.name}."
    if description["task"] == "continuous":
        step = 1000 * description["frame_seconds"]
        yield f"It rates {' and '.join(description['dimensions'])} every {step:.0f} ms of a recording."
    else:
        yield f"It distinguishes {', '.join(description['classes'])}."
        for target in description.get("targets", [])[1:]:
            kind = f"distinguishes {', '.join(target['classes'])}" if "classes" in target else "gives a number"
            yield f"For its further target {target['name']} it {kind} (signature `all_targets`)."
    if description.get("delay_frames", 0) < 0:
        yield f"A moment is rated from audio up to {-description['delay_frames'] * step / 1000:g} s after it."
    if description["lengths_in"] == "samples":
        rate_hz = description["rate_hz"]
        shortest, longest = description["shortest"] / rate_hz, description["longest"] / rate_hz
        yield f"Input: mono speech at {rate_hz} Hz, {shortest:.3f} to {longest:.0f} s."
    if description["synthetic"]:
        yield "\n**Trained on synthetic sound: it shows that the path works. Its answers on speech mean nothing.**"
    if stored := description.get("weights"):
        found = f"answers change by at most {stored['largest_difference']:.1e} ({stored['measured_on']})"
        yield f"Weights are stored in {stored['dtype']}: {found}."
    yield from (f"\n**{sentence}**" for sentence in description.get("warnings", ()))


def _data(description: Figures, record: Figures, notes: Sequence[str], settings: RunConfig) -> Iterator[str]:
    protocol = protocol_of(settings)
    yield "\n## Data\n"
    yield from (f"- {line}" for line in notes)
    several = record.get("corpora") or {record["corpus"]: vars(corpora.get(record["corpus"]))}
    if made := record.get("stand_in"):
        source = made["made_from"].partition(",")[0]
        several, other = {source: vars(corpora.get(source.lower()))}, made["stand_in_for"]
        yield (
            f"- Trained on a stand-in for {other}: recordings joined from {source} speech, under ratings that were "
            f"generated from the acted emotion, not given by people. Nothing of {other} is in it."
        )
    for corpus in several.values():
        if description["synthetic"]:
            yield f"- A synthetic twin of {corpus['title']}, made by this project; nothing of the corpus is in it."
        else:
            yield f"- {corpus['title']}, {corpus['address']}; licence: {corpus['licence']}."
    if not description["synthetic"]:
        yield "- What the licence asks of users of the data, such as non-commercial use, holds for this model too."
    yield from (f"- Labels of {line}" for line in own_pool.in_words(record.get("corpora", {})))
    yield f"- Protocol `{description['protocol']}`: {protocol.title}. Fold {', '.join(description['folds'])}."
    yield from (f"- {line}" for line in (*record["leakage"], *record["notes"]))
    yield from _encoder(description)
    yield from _initial(description)


def _encoder(description: Figures) -> Iterator[str]:
    """Say whose hidden states the network reads, whose licence holds for the model too."""
    if one := description.get("encoder"):
        yield (
            f"- On the hidden states of the frozen {one['family']} encoder {one['name']}, which this export holds; "
            f"licence of its weights: {one['licence']}; SHA-256 of the converted weights `{one['sha256']}`."
        )


def _initial(description: Figures) -> Iterator[str]:
    """Yield a line for each model that it began with, and for each teacher once."""
    learnt = {"initial": "began with the weights of", "teachers": "learnt the probabilities of"}
    for name, verb in learnt.items():
        for one in {one["sha256"]: one for one in description.get(name, ())}.values():
            known = f"{one['corpus']}; licence: {one['licence']}" if one["corpus"] else "unknown data"
            yield f"- It {verb} the {one['kind']} {one['name']}, trained on {known}; SHA-256 `{one['sha256']}`."


def _classes(description: Figures, record: Figures) -> Iterator[str]:
    yield "\n## How well it does\n"
    theirs = record.get(folds_of_final.KEY)
    if theirs:
        yield f"**{theirs['said']}**\n"
        yield from (f"- its settings: {line}" for line in theirs["settings_that_differ"])
        yield from (f"- of those folds: {line}" for line in (*theirs.get("leakage", ()), *theirs.get("notes", ())))
    if theirs or is_tested(record):
        yield from _figures(theirs or record)
    else:
        yield "It was not tested: no clips are left that it was not trained on, and it names no figures of others."
    yield from _calibration(description)


def _figures(record: Figures) -> Iterator[str]:
    yield f"On {record['n_clips']} test clips: UA {_percent(record['ua'])}, WA {_percent(record['wa'])}."
    if people := record.get("human_ceiling"):
        yield f"One rater against the others: UA {_percent(people['ua'])}, WA {_percent(people['wa'])}."
    yield "In brackets the 95 % interval over speakers. By speaker:\n"
    yield "| speaker | clips | UA | WA |\n|---|---|---|---|"
    for speaker, score in record["per_speaker"].items():
        yield f"| {speaker} | {score['n']} | {100 * score['ua']:.1f} % | {100 * score['wa']:.1f} % |"
    for name, found in record.get("targets", {}).items():
        yield f"\n{_target(name, found)}"
    yield "\nBad at:\n"
    worst = sorted(record["per_class"].items(), key=lambda item: item[1]["recall"] or 0.0)[:_WORST]
    for label, score in (pair for pair in worst if (pair[1]["recall"] or 0.0) < 1):
        mistaken = _mistaken(record, label)
        yield f"- {label}: {100 * (score['recall'] or 0.0):.0f} % of {score['n']} found{mistaken}"
    yield "- speech unlike its corpus: other languages, rooms, microphones, and emotions that are not acted"


def _mistaken(record: Figures, label: str) -> str:
    """Say which class a class is most often taken for, by the confusion matrix; of several the first by name."""
    row = record["confusion"][record["classes"].index(label)]
    others = sorted(
        (-count, name) for name, count in zip(record["classes"], row, strict=True) if name != label and count
    )
    return f", most often taken for {others[0][1]}" if others else ""


def _calibration(description: Figures) -> Iterator[str]:
    if description["calibration"]:
        of_others = description["calibration"].get("fitted_on")
        whose = f" of the run {of_others}, its models trained on fewer speakers" if of_others else ""
        temperature = f"{description['temperature']:.3f}"
        yield f"\nProbabilities are calibrated by a temperature, {temperature}, of validation clips{whose}."
        yield "\n| clips | expected calibration error before | after |\n|---|---|---|"
        for side in (side for side in ("validation", "test") if side in description["calibration"]):
            found = description["calibration"][side]
            yield f"| {side} | {found['ece_before']:.3f} | {found['ece_after']:.3f} |"
    if description.get("confidence"):
        yield from _confidence(description["confidence"])


def _confidence(fit: Figures) -> Iterator[str]:
    """Say what the fitted confidence is, and what abstaining does on validation clips."""
    share, found = next(iter(fit["wanted"].items())), fit["validation"]
    yield f"\nConfidence by {fit['measure']}, the estimated probability that the emotion is right; it abstains below "
    yield f"{fit['threshold']:.3f}, fitted for {'an error' if share[0] == 'error' else 'a coverage'} of "
    yield f"{100 * share[1]:g} %. On the validation clips it answers {100 * found['coverage']:.0f} % and errs in "
    yield f"{100 * found['error_of_answered']:.1f} % of these, in {100 * found['error']:.1f} % of all."


def _ratings(record: Figures) -> Iterator[str]:
    yield "\n## How well it does\n"
    yield "CCC over all test recordings; in brackets the 95 % interval over recordings.\n"
    yield "| dimension | as the network rates | after post-processing |\n|---|---|---|"
    for dimension, score in record["dimensions"].items():
        after = record["postprocessed"]["dimensions"][dimension] if record.get("postprocessed") else None
        yield f"| {dimension} | {_ccc(score['ccc'])} | {_ccc(after['ccc']) if after else ''} |"
    yield "\nBad at: ratings of other raters, languages, rooms and microphones than those of its corpus."


def _origin(version: Path, description: Figures, run: Path, record: Figures) -> Iterator[str]:
    given = [*command_line.of(saved.load(run / "config.json")), "--data-root", "DIR", "--out", "RUN"]
    if description["synthetic"]:
        given = [word for word in given if word not in ("--data-root", "DIR")]
    export = ["RUN", "--out", f"saved_models/{version.parent.name}"]
    export += ["--calibrate", "--data-root", "DIR"] if description.get("calibration") else []
    export += ["--postprocess"] if description.get("postprocess") else []
    export += ["--weights-dtype", description["weights"]["dtype"]] if description.get("weights") else []
    yield "\n## Made by\n"
    if record.get("stand_in"):
        yield "DIR is the folder that `scripts/make_recola_standin.py --data-root RAVDESS --out DIR` writes.\n"
    yield f"```\npython scripts/train.py {shlex.join(given)}\npython scripts/export.py {shlex.join(export)}\n```\n"
    yield from _training_time(record)
    yield "with " + ", ".join(f"{name} {found}" for name, found in description["run_versions"].items())
    yield "\n## Checksums (SHA-256)\n"
    for name, digest in {**description["files"], **description["run_files"]}.items():
        yield f"- `{digest}` {name}"


def _training_time(record: Figures) -> Iterator[str]:
    """Say how long training took, where the record knows."""
    folds = [fold for fold in record.get("folds", [record]) if {"epochs", "seconds_per_epoch"} <= fold.keys()]
    if folds:
        minutes = sum(fold["epochs"] * fold["seconds_per_epoch"] for fold in folds) / 60
        epochs = sum(fold["epochs"] for fold in folds)
        yield f"Training took {minutes:.0f} minutes: {epochs} epochs, folds: {len(folds)}.\n"


def _target(name: str, found: Figures) -> str:
    left_out = f"; {found['unlabelled']} clips without a label are left out" if found["unlabelled"] else ""
    if "ccc" in found:
        return f"Target {name}, {found['n_clips']} clips: CCC {_ccc(found['ccc'])}, MAE {found['mae']:.3g}{left_out}."
    if "ua" in found:
        return f"Target {name}, {found['n_clips']} clips: UA {_percent(found['ua'])}{left_out}."
    return f"Target {name}: no test clip has a label."


def _percent(score: Figures) -> str:
    interval = "" if score["low"] is None else f" [{100 * score['low']:.1f}, {100 * score['high']:.1f}]"
    return f"{100 * score['value']:.1f} %{interval}"


def _ccc(score: Figures) -> str:
    return f"{score['value']:.3f}" + ("" if score["low"] is None else f" [{score['low']:.3f}, {score['high']:.3f}]")
