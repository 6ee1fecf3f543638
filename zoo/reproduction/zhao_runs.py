"""Plan the runs of the tables of Zhao et al. 2019, line by line, and read their figures once they are finished."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import Any

from zoo import registry
from zoo.config.run_config import RunConfig, heeds
from zoo.config.validation import as_flag
from zoo.errors import UserError
from zoo.reproduction.job import OPTION, Asked, Row, Training
from zoo.reproduction.zhao_figures import Measure

NEEDS_WEIGHTS = (
    "needs pre-trained weights: --weights DIR, a folder with those of all three networks (docs/baselines.md)"
)
RANDOM = "random weights: features of an untrained network, no baseline"
FIGURES = {"WA": "wa", "UA": "ua"}  # as the paper and as records call them
_TITLES = {"iemocap": "IEMOCAP", "aibo": "Aibo"}
# What says where clips and results are, and not how they are used.
_PLACES = ("data", "running")
_NAMED = {"model", "recipe", "corpus", "figures_from", "name"}


@dataclasses.dataclass(frozen=True)
class Line:
    """A line of a table: row and variant as the table calls them, and the run that its figures are of.

    folder: the run's, in that of the corpus. settings: what the table sets. of: folder of the run whose network makes
    the features. shown: false for a run that others need and the table does not have.
    """

    row: str
    model: str
    folder: str
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    variant: str = ""
    of: str = ""
    shown: bool = True

    @property
    def name(self) -> str:
        """Return row and variant in one."""
        return ", ".join(filter(None, (self.row, self.variant)))


def place(asked: Asked, corpus: str, line: str, seed: int) -> str:
    """Return the folder of a run in --out; that of a single corpus and seed is the line's own."""
    name = line if len(asked.seeds) == 1 else f"{line}-seed-{seed}"
    return name if len(asked.corpora) == 1 else f"{corpus}/{name}"


def trainings(asked: Asked, lines: Sequence[Line]) -> Iterable[Training]:
    """Yield the runs of all lines that can be trained, upstream ones first.

    A flag that has no effect on the network of a line is left out there: --epochs of an SVM, --weights but of image
    networks, an --option of another builder. Raises UserError for one that has an effect on none.
    """
    runs = [line for line in lines if not _lacks_weights(asked, line)]
    if useless := set.intersection(*(set(_without(asked, line.model)) for line in runs)):
        name = min(useless)
        given = f"--option {name.removeprefix(OPTION)}" if name.startswith(OPTION) else as_flag(name)
        value = f" {asked.given[name]}" if name == "recipe" else ""
        raise UserError(f"{given}{value} has no effect on any run of {asked.job.name}. Leave it out")
    for corpus in asked.corpora:
        for seed in asked.seeds:
            yield from (_training(asked, corpus, seed, line) for line in runs)


def _training(asked: Asked, corpus: str, seed: int, line: Line) -> Training:
    fixed, without = {"model": line.model, "seed": seed, "corpus": corpus}, _without(asked, line.model)
    if line.of:
        fixed["from_run"] = str(asked.out / place(asked, corpus, line.of, seed))
    if _is_image(line) and asked.given["weights"] != "random":
        fixed["weights"], without = _weights(asked, line.model), [*without, "weights"]
    return Training(place(asked, corpus, line.folder, seed), {**fixed, **line.settings}, without=tuple(without))


def rows(asked: Asked, lines: Sequence[Line], columns: Sequence[str] = ()) -> list[Row]:
    """Return the figures of all lines on all corpora; of several seeds their mean.

    `columns` are those of the figures, by default WA and UA, with the corpus's name where it is one of the paper's.
    """
    found = []
    for line in (line for line in lines if line.shown):
        for corpus in asked.corpora:
            folders = folders_of(asked, corpus, line)
            note = departures(asked, line, corpus) if folders else NEEDS_WEIGHTS
            for figure in FIGURES:
                column = " ".join(filter(None, (_TITLES.get(corpus), figure)))
                if columns and figure not in columns:
                    continue
                score = score_of(folders, figure) if folders else None
                run = " ".join(map(str, folders))
                found.append(Row(line.row, figure if columns else column, score, "%", line.variant, note, run))
    return found


def folders_of(asked: Asked, corpus: str, line: Line) -> list[Path]:
    """Return the folders of a line's runs, seed by seed; none where image networks have no weights."""
    if _lacks_weights(asked, line):
        return []
    return [asked.out / place(asked, corpus, line.folder, seed) for seed in asked.seeds]


def score_of(folders: Sequence[Path], figure: str) -> dict[str, float | None]:
    """Return value, low and high of WA or UA: of one run, or of the mean over several seeds."""
    from zoo.metrics.bootstrap import bootstrap_interval, figures
    from zoo.metrics.classification import accuracies
    from zoo.runs.folder import read_record
    from zoo.studies.finished_runs import read_run

    if len(folders) == 1:
        score = read_record(folders[0])[FIGURES[figure]]
        return {name: score[name] for name in ("value", "low", "high")}
    parts, index = [read_run(folder).parts for folder in folders], list(FIGURES).index(figure)
    bounds = [figures(parts, accuracies).mean(axis=0), *bootstrap_interval(parts, accuracies)]
    values = [float(bound[index]) for bound in bounds]
    return {
        name: None if value != value else value for name, value in zip(("value", "low", "high"), values, strict=True)
    }


def measures(asked: Asked, found: Sequence[Row], corpus: str, figure: str = "UA") -> dict[tuple[str, str], Measure]:
    """Return a figure of all rows on a corpus by row and variant, with the published one, for drawings."""
    from zoo.reproduction import published

    column = " ".join(filter(None, (_TITLES.get(corpus), figure)))
    of_job = published.tables().get(asked.job.name)
    known = dict(of_job.figures) if of_job and not asked.elsewhere else {}
    drawn: dict[tuple[str, str], Measure] = {}
    for row in found:
        if row.column in (column, figure) and isinstance(row.ours, Mapping):
            theirs = known.pop((row.row, row.column), None)
            drawn[row.row, row.variant] = Measure(**row.ours, published=theirs.value if theirs else None)
    for (name, theirs_column), theirs in known.items():
        if theirs_column == column and theirs.value is not None:
            drawn[name, ""] = Measure(published=theirs.value)
    return drawn


def departures(asked: Asked, line: Line, corpus: str) -> str:
    """Return in which settings a line's runs depart from the paper's recipe, and of what seeds they are the mean."""
    training = _training(asked, corpus, asked.seeds[0], line)
    config = asked.config(training)
    recipes = registry.get(line.model).recipes
    first = next(iter(recipes))
    said = [f"recipe {config.recipe} in place of {first}"] if recipes[config.recipe] != recipes[first] else []
    for name, item in RunConfig.__dataclass_fields__.items():
        if name not in asked.given or name in _NAMED or item.metadata["group"] in _PLACES or name in training.without:
            continue
        usual, value = recipes[config.recipe].get(name, getattr(RunConfig, name, None)), getattr(config, name)
        if name == "weights":
            said += [RANDOM] if value == "random" else []
        elif value != usual and (name, value) != ("fold", "all"):
            words = as_flag(name).removeprefix("--").replace("-", " ")
            said.append(f"{words} {value}" + (f" (recipe: {usual})" if usual not in ("", None, {}) else ""))
    if len(asked.seeds) > 1:
        said.append(f"mean of seeds {', '.join(map(str, asked.seeds))}")
    return "; ".join(said)


def _without(asked: Asked, model: str) -> list[str]:
    """Return the given flags that have no effect on a network, and those of its options as option.NAME."""
    names = [name for name in asked.given if name in RunConfig.__dataclass_fields__ and not heeds(model, name)]
    unknown_recipe = asked.given.get("recipe") not in (None, *registry.get(model).recipes)
    module, builder = registry.module_and_function(model)
    # Of the SVMs one has components, those of the paper; --option components=N is not for the others.
    linear = registry.get(model).fitted == "linear"
    known = registry.get(model).options if linear else signature(getattr(module, builder)).parameters
    options = [OPTION + name for name in asked.options if name not in known]
    return [*names, *(["recipe"] if unknown_recipe else []), *options]


def _is_image(line: Line) -> bool:
    return registry.get(line.model).frontend == "image"


def _lacks_weights(asked: Asked, line: Line) -> bool:
    return _is_image(line) and not asked.given.get("weights")


def _weights(asked: Asked, model: str) -> str:
    """Return the file of a network's weights in the folder of --weights. Raises UserError unless there is one."""
    folder, network = Path(asked.given["weights"]), model.removesuffix("_svm")
    files = sorted(folder.glob(f"{network}*")) if folder.is_dir() else []
    if len(files) != 1:
        found = "no such folder" if not folder.is_dir() else ", ".join(file.name for file in files) or "none"
        raise UserError(
            f"--weights {folder}: expected a folder with one file whose name begins with {network}, found {found}. "
            "docs/baselines.md says where to get weights; random in place of DIR tries the program"
        )
    return str(files[0])
