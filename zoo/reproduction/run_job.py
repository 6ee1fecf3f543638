"""Run a job: train what is missing, one run after the other, then print and write its table and figure."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo.config import packages, saved
from zoo.config.run_config import RunConfig
from zoo.config.validation import as_flag
from zoo.errors import DivergedError, UserError
from zoo.reproduction.job import DIVERGED, Asked, Result, has_diverged
from zoo.runs import command_line
from zoo.runs.dataset import open_source, resolve
from zoo.runs.folder import corpus_name, read_record
from zoo.utils.atomic_files import write_json
from zoo.utils.json_files import read_json
from zoo.utils.text import printable

_MARK = "job.json"  # in --out: which job's tables lie there
ABOUT = "about.json"  # beside table.csv: what the ledger says of it
_OF_ANY_JOB = {"synthetic", "out", "backend", "data_root"}


def run(asked: Asked) -> None:
    """Train what a job's runs lack, and write table.csv, table.md and its figure into `asked.place`.

    Raises UserError, before anything is trained, for bad flags, absent data, and a folder of something else.
    """
    trainings = asked.trainings()
    runs = {training.name: asked.config(training) for training in trainings}
    _check(asked, runs)
    write_json(asked.out / _MARK, {"job": asked.job.family})
    for number, (training, settings) in enumerate(zip(trainings, runs.values(), strict=True), start=1):
        print(f"run {number} of {len(runs)}: {printable(training.name)}", file=sys.stderr)
        _train(settings, training.may_diverge)
    folders = {name: Path(settings.out) for name, settings in runs.items()}
    _show(asked, asked.job.result(asked, folders), list(folders.values()))


def _train(settings: RunConfig, may_diverge: bool) -> None:
    """Train a run, or go on with it. One that diverges and may do so is noted in its folder, and not tried again."""
    from zoo.training.train import train

    folder = Path(settings.out)
    if has_diverged(folder):
        return
    try:
        train(settings, resume=(folder / "config.json").is_file())
    except DivergedError as error:
        if not may_diverge:
            raise
        write_json(folder / DIVERGED, {"reason": str(error)})
        print(f"diverged: {printable(str(error))}", file=sys.stderr)


def _check(asked: Asked, runs: Mapping[str, RunConfig]) -> None:
    if not asked.job.corpora and (useless := sorted(set(asked.given) - _OF_ANY_JOB)):
        raise UserError(f"{as_flag(useless[0])} has no effect on {asked.job.name}, which trains nothing. Leave it out")
    mark = asked.out / _MARK
    if mark.is_file() and (there := read_json(mark, "the name of a job", {"job": str})["job"]) != asked.job.family:
        raise UserError(f"--out {asked.out} holds {there}, not {asked.job.family}. Give another folder")
    for settings in runs.values():
        packages.check(settings)
        resolved = resolve(settings)
        open_source(resolved)  # a wrong folder fails before hours are spent
        path = Path(settings.out) / "config.json"
        if path.is_file() and (changed := saved.differences(saved.load(path), resolved)):
            was = "; ".join(changed)
            raise UserError(
                f"{settings.out} holds a run of another configuration: {was}. Give the flags it was started with, or "
                "another --out"
            )


def _show(asked: Asked, result: Result, folders: Sequence[Path]) -> None:
    from zoo.reports import figures
    from zoo.reproduction import side_by_side

    records = [read_record(folder) for folder in folders if not has_diverged(folder)]
    rows = side_by_side.with_published(asked, result.rows)
    lines, title = [*result.lines, *_remarks(records)], title_of(asked, records)
    asked.place.mkdir(parents=True, exist_ok=True)
    side_by_side.write(asked.place, title, rows, lines)
    if result.figure is not None:
        figures.save(result.figure, asked.place / "figure.png", title)
    write_json(asked.place / ABOUT, _about(asked, records))
    side_by_side.print_rows(title, rows, lines)
    drawn = ", figure.png and .svg" if result.figure is not None else ""
    print(f"in {printable(str(asked.place))}: table.md, table.csv{drawn}; each run's folder has its own figures")


def _about(asked: Asked, records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a finished job's name, the corpora of its runs, and the flags it had beyond the paper's settings."""
    given = {name: value for name, value in asked.given.items() if name not in (*saved.PLACES, "option", "corpus")}
    given |= {"option": asked.options} if asked.options else {}
    seeds = ["--seeds", *map(str, asked.seeds)] if asked.seeds != asked.job.seeds else []
    corpora = list(dict.fromkeys(map(corpus_name, records)))
    flags = [*command_line.words(given), *seeds, *(["--only", *asked.only] if asked.only else [])]
    return {"job": asked.job.name, "corpora": corpora, "flags": flags, "synthetic": asked.synthetic}


def title_of(asked: Asked, records: Sequence[Mapping[str, Any]] = ()) -> str:
    """Return the title of a job's table, which says where the data are synthetic, a stand-in or not the paper's."""
    mark = "SYNTHETIC DATA, no reproduction · " if asked.synthetic and asked.job.corpora else ""
    place = f", in its form on {asked.corpora[0]}" if asked.elsewhere else ""
    stand_in = next((corpus_name(record) for record in records if "stand_in" in record), "")
    return f"{mark}{asked.job.title}{place}{f', on the {stand_in}' if stand_in else ''}"


def _remarks(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what the runs' records say of leakage, absent clips and stand-ins, each sentence once."""
    every = []
    for record in records:
        every += [*record.get("warnings", ()), *record.get("leakage", ())]
        every += [f"incomplete corpus: {note}" for note in record.get("notes", ())]
        if record.get("bad_clips"):
            every.append(f"{record['model']}: {len(record['bad_clips'])} clips left out as unusable")
    return list(dict.fromkeys(every))
