"""Define a job: a published table or figure, what it trains, and how its figures come out of the runs.

A paper's module (bakhshi.py is one) lists its jobs; jobs.py lists the modules. `run_job.run` does what they share.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.config import flags
from zoo.config.run_config import RunConfig, heeds
from zoo.config.validation import as_flag
from zoo.data.corpora import pool
from zoo.errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OPTION = "option."
Score = Mapping[str, float | None]  # value, low, high
DIVERGED = "diverged.json"  # in the folder of a run whose network's outputs were no longer finite


@dataclass(frozen=True)
class Training:
    """A run of a job. `name` is its folder in --out.

    fixed: settings that make it this run (model, seed, what the table compares); a user cannot give them.
    usual: settings of the table that a user's flags replace, as epochs.
    beside: networks of the job's other runs: flags that have an effect on these and none on this one are not its own.
    without: further flags that are not this run's; those of the builder as option.NAME. may_diverge: a rate that is
    tried may be too high; the run then has no figures.
    """

    name: str
    fixed: Mapping[str, Any]
    usual: Mapping[str, Any] = field(default_factory=dict)
    beside: Sequence[str] = ()
    without: Collection[str] = ()
    may_diverge: bool = False

    def takes(self, name: str) -> bool:
        """Return whether a flag that a user gave, by its field's name, is this run's."""
        if name in self.without or name not in RunConfig.__dataclass_fields__:
            return name not in self.without
        return heeds(self.fixed["model"], name) or not any(heeds(other, name) for other in self.beside)


@dataclass(frozen=True)
class Asked:
    """What a user asked for: the flags of train.py that were given, seeds, and the folder of all that is written.

    only: names of the runs wanted, with * for anything; none for all.
    """

    job: Job
    out: Path
    seeds: tuple[int, ...] = (0,)
    given: Mapping[str, Any] = field(default_factory=dict)
    only: tuple[str, ...] = ()

    @property
    def place(self) -> Path:
        """Return the folder of table and figure: `out`, or below it where the runs are those of another job."""
        return self.out / self.job.name if self.job.runs_of else self.out

    def trainings(self) -> list[Training]:
        """Return the runs of the job that are wanted. Raises UserError for a name in `only` that fits none."""
        every = list(self.job.runs(self))
        for name in self.only:
            if not any(fnmatchcase(training.name, name) for training in every):
                known = ", ".join(training.name for training in every) or "none"
                raise UserError(f"--only {name}: no run of {self.job.name} has this name. They are: {known}")
        return [one for one in every if not self.only or any(fnmatchcase(one.name, name) for name in self.only)]

    @property
    def synthetic(self) -> bool:
        """Return whether --synthetic was given."""
        return bool(self.given.get("synthetic"))

    @property
    def corpora(self) -> tuple[str, ...]:
        """Return the paper's corpora, or the one of --corpus in their place."""
        return (self.given["corpus"],) if "corpus" in self.given else self.job.corpora

    @property
    def elsewhere(self) -> bool:
        """Return whether --corpus names a corpus that the paper has no figures of."""
        return not set(self.corpora) <= set(self.job.corpora)

    @property
    def options(self) -> dict[str, Any]:
        """Return the keywords of builders that were given by --option."""
        given = self.given.get("option", {})
        return dict(given) if isinstance(given, Mapping) else flags.parse_options(given)

    def config(self, training: Training) -> RunConfig:
        """Return the configuration of a run. Raises UserError for a flag that the job sets itself, or a bad value."""
        fixed, usual = dict(training.fixed), dict(training.usual)
        given = {name: value for name, value in self.given.items() if name != "option" and training.takes(name)}
        options = {name: value for name, value in self.options.items() if OPTION + name not in training.without}
        options = options if training.takes("option") else {}
        of_job = fixed.pop("option", {})
        clashes = [f"{as_flag(name)} {given[name]}" for name in fixed if name in given and name != "corpus"]
        clashes += [f"--option {name}={value}" for name, value in options.items() if name in of_job]
        if clashes:
            raise UserError(f"{clashes[0]}: {self.job.name} sets it itself, run by run. Leave it out")
        settings = {**usual, **given, **fixed, "out": str(self.out / training.name)}
        if options := {**usual.get("option", {}), **options, **of_job}:
            settings["option"] = options
        if len(self.corpora) > 1 and "data_root" in given:
            settings["data_root"] = str(self.root(settings["corpus"]))
        return flags.from_flags(settings)

    def root(self, corpus: str) -> Path | None:
        """Return the folder of a corpus: --data-root itself, or below it. None where that is $SPEECH_CORPORA's."""
        place = Path(self.given["data_root"]) if self.given.get("data_root") else None
        return pool.root_of(pool.Member(corpus, ""), place, alone=True)


def has_diverged(folder: Path) -> bool:
    """Return whether training diverged, so that the run has no figures."""
    return (folder / DIVERGED).is_file()


@dataclass(frozen=True)
class Row:
    """A figure of ours, in a row and a column named as published.toml names them, so that both stand side by side.

    ours: a score of a record, its value alone, or None where it is not measured. variant: what tells rows of one name
    apart, such as the seed. unit: "%" for shares (0..1), which are shown in percent. run: its folder.
    """

    row: str
    column: str
    ours: Score | float | None
    unit: str = ""
    variant: str = ""
    note: str = ""
    run: str = ""


@dataclass(frozen=True)
class Result:
    """What a job found: rows, sentences below the table (tests, what was left out), and a figure."""

    rows: Sequence[Row]
    lines: Sequence[str] = ()
    figure: Figure | None = None


@dataclass(frozen=True)
class Job:
    """A published table or figure as a command.

    name: as in `ser reproduce NAME`, and of the table in published.toml. needs: the data, in words, for --list.
    corpora: those of the paper; none for what is computed without data. seeds: those without --seeds.
    runs: returns what is to be trained. result: returns rows and figure, from the finished runs' folders by name; a job
    that runs a study of its own does it there, into folders in `asked.out`. runs_of: the job whose runs it takes, in
    the same --out, where table and figure get a folder of their own; by default it makes its own runs.
    """

    name: str
    title: str
    needs: str
    corpora: tuple[str, ...]
    result: Callable[[Asked, Mapping[str, Path]], Result]
    runs: Callable[[Asked], Iterable[Training]] = lambda asked: ()
    seeds: tuple[int, ...] = (0,)
    runs_of: str = ""

    @property
    def family(self) -> str:
        """Return the name of the job whose --out it shares, which may be itself."""
        return self.runs_of or self.name
