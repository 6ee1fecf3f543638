"""Write the tables and the figure of an ablation from the records of its runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from zoo.reports import style
from zoo.reports.figures import save
from zoo.studies.ablation import PLAIN, RECIPE, Variant
from zoo.studies.validation_runs import LAST
from zoo.utils.atomic_files import write_csv, written_aside

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Record = Mapping[str, Any]


def write(variants: Sequence[Variant], records: Mapping[str, Sequence[Record]], folder: Path, command: str) -> None:
    """Write table.md, table.csv and, of two finished variants or more, table.png, .svg and .pdf.

    `records` are a variant's, seed by seed.
    """
    rows = [_row(variant, records) for variant in variants]
    title = _title(records)
    write_csv(folder / "table.csv", rows)
    with written_aside(folder / "table.md") as aside:
        aside.write_text("\n".join(_page(title, rows, records, command)) + "\n")
    if any(row["difference"] != "" for row in rows):
        save(differences_figure(rows), folder / "table.png", "Change of validation UA by each variant", title)


def _title(records: Mapping[str, Sequence[Record]]) -> str:
    one = next(record for several in records.values() for record in several)
    corpus = f"{'SYNTHETIC ' if one['synthetic'] else ''}{one['corpus']}"
    return (
        f"{one['model']} ({one['recipe']}) on {corpus}, {one['protocol']}, fold {one['fold']}, {one['epochs']} epochs"
    )


def _row(variant: Variant, records: Mapping[str, Sequence[Record]]) -> dict[str, Any]:
    """Return a row of the table, shares in 0..1, "" for what is not there yet. Differences are paired by seed."""
    own = {record["seed"]: record for record in records.get(variant.name, ())}
    base = {record["seed"]: record for record in records.get(variant.against, ())}
    scores = [record["ua"] for record in own.values()]
    paired = [own[seed]["ua"] - base[seed]["ua"] for seed in own if seed in base]
    return {
        "variant": variant.name,
        "against": variant.against,
        "last_epochs_ua": fmean(scores) if scores else "",
        "deviation_of_seeds": stdev(scores) if len(scores) > 1 else "",
        "difference": fmean(paired) if paired else "",
        "best_epoch_ua": fmean(record["best_ua"] for record in own.values()) if own else "",
        "best_epoch": " ".join(str(record["best_epoch"]) for record in own.values()),
        "seeds": " ".join(map(str, own)),
        "seconds_per_epoch": fmean(record["seconds_per_epoch"] for record in own.values()) if own else "",
        "changes": "; ".join(f"{name} = {value}" for name, value in variant.changes.items()),
    }


def _percent(value: float | str, sign: str = "") -> str:
    return "–" if isinstance(value, str) else f"{100 * value:{sign}.1f}"


def _page(
    title: str, rows: Sequence[Mapping[str, Any]], records: Mapping[str, Sequence[Record]], command: str
) -> Iterator[str]:
    one = next(record for several in records.values() for record in several)
    done, wanted = sum(1 for row in rows if row["seeds"]), len(rows)
    yield f"# Ablation: {title}\n"
    yield f"Validation UA in percent, {one['scored_clips']} clips of {', '.join(one['scored_speakers'])}, who do not"
    yield f"train. Compared are means of the last {LAST} epochs: the best epoch is chosen on the clips that score it,"
    yield "and so is optimistic. Another seed moves a network by some points: of one seed, two points say nothing.\n"
    if done < wanted:
        yield f"{done} of {wanted} variants are finished; the command goes on.\n"
    yield f"```\n{command}\n```\n"
    columns = (f"mean of last {LAST} epochs", "difference", "best epoch (optimistic)", "epoch", "seeds", "s an epoch")
    yield f"| variant | {' | '.join(columns)} |"
    yield "|---|---:|---:|---:|---:|---:|---:|"
    for row in rows:
        spread = f" ± {_percent(row['deviation_of_seeds'])}" if row["deviation_of_seeds"] != "" else ""
        against = f"{_percent(row['difference'], '+')} against {row['against']}" if row["against"] else ""
        seconds = "–" if row["seconds_per_epoch"] == "" else f"{row['seconds_per_epoch']:.1f}"
        cells = [row["variant"], f"{_percent(row['last_epochs_ua'])}{spread}", against, _percent(row["best_epoch_ua"])]
        yield f"| {' | '.join([*cells, row['best_epoch'], row['seeds'], seconds])} |"
    yield "\nSettings of each variant that differ from the command's:\n"
    yield from (f"- {row['variant']}: {row['changes']}" for row in rows if row["changes"])
    notes = [
        note for several in records.values() for record in several for note in (*record["notes"], *record["warnings"])
    ]
    yield from (f"- {note}" for note in dict.fromkeys(notes))


@style.styled
def differences_figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw the difference of each variant from what it is compared with, in points of percent."""
    from matplotlib.figure import Figure

    titles = {RECIPE: "compared with the recipe", PLAIN: "compared with plain training"}
    shown = {
        against: [row for row in rows if row["against"] == against and row["difference"] != ""] for against in titles
    }
    shown = {against: found for against, found in shown.items() if found}
    figure = Figure(figsize=(style.PAGE_INCHES, 1.3 + 0.22 * max(map(len, shown.values()))))
    every = figure.subplots(1, len(shown), squeeze=False).flat
    for axes, (against, found) in zip(every, shown.items(), strict=True):
        names = [row["variant"] for row in found]
        axes.barh(names, [100 * row["difference"] for row in found], color=style.BLUE)
        axes.axvline(0, color=style.BLACK, linewidth=0.8)
        axes.invert_yaxis()
        axes.set(xlabel="Change of UA (percentage points)", title=titles[against])
        axes.grid(axis="x")
    return figure
