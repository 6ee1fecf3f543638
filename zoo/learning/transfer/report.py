"""Write the results of a transfer study: a table, curves, and figures with intervals over speakers as JSON and CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.metrics.bootstrap import bootstrap_interval, figures
from zoo.metrics.classification import accuracies, class_indices, speaker_confusions
from zoo.metrics.significance import paired_bootstrap
from zoo.reports import style
from zoo.reports.figures import save
from zoo.utils.atomic_files import write_csv, write_json, written_aside

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REFERENCE = "nothing"
_NOT_KEPT = ("cells", "tested", "settings")


def write(record: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """Write transfer.json, .csv, .md, .png, .svg and .pdf to a folder; return what transfer.json holds."""
    found = summary(record)
    write_csv(out / "transfer.csv", found["figures"])
    with written_aside(out / "transfer.md") as aside:
        aside.write_text("\n".join(markdown(found)) + "\n")
    about = f"{found['model']}, {_from(found)} to {found['target']}; bars: 95 % over speakers and draws"
    save(transfer_figure(found), out / "transfer.png", "UA by number of labelled clips of the new corpus", about)
    write_json(out / "transfer.json", found)
    return found


def summary(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record with figures in place of predictions: UA by method and budget, and differences.

    Folds are pooled, seeds averaged; intervals (95 %) are over the target's test speakers and over seeds. `gain` is
    over the target's labelled clips alone, paired by speaker and seed.
    """
    rows = []
    reference = {budget: _runs(record, REFERENCE, budget) for budget in record["settings"]["budgets"]}
    for method in record["settings"]["methods"]:
        for budget in record["settings"]["budgets"]:
            runs = _runs(record, method, budget)
            low, high = bootstrap_interval(runs, accuracies)
            score = figures(runs, accuracies).mean(axis=0)
            row = {"method": method, "labelled_clips": budget, "ua": score[1], "low": low[1], "high": high[1]}
            row |= {"wa": score[0], "lowest_seed": figures(runs, accuracies)[:, 1].min()}
            row["highest_seed"] = figures(runs, accuracies)[:, 1].max()
            if method != REFERENCE and reference[budget]:
                own = paired_bootstrap(reference[budget], runs, accuracies)
                row["gain"] = score[1] - figures(reference[budget], accuracies).mean(axis=0)[1]
                row |= {name: bound[1] for name, bound in zip(("gain_low", "gain_high", "gain_p"), own, strict=True)}
            rows.append(
                {name: value if isinstance(value, (str, int)) else _number(value) for name, value in row.items()}
            )
    columns = list(dict.fromkeys(name for row in rows for name in row))
    seconds = sum(cell["seconds"] for cells in record["cells"].values() for cell in cells)
    kept = {name: value for name, value in record.items() if name not in _NOT_KEPT}
    kept |= {"seeds": record["settings"]["seeds"], "seconds": round(seconds, 1)}
    kept |= {"n_test_clips": sum(map(len, record["tested"])), "n_test_speakers": len(_speakers(record))}
    return {**kept, "figures": [{name: row.get(name) for name in columns} for row in rows]}


def _number(value: Any) -> float | None:
    return None if np.isnan(value) else round(float(value), 6)


def _speakers(record: Mapping[str, Any]) -> set[str]:
    return {speaker for fold in record["tested"] for _, speaker, _ in fold}


def _runs(record: Mapping[str, Any], method: str, budget: int) -> list[list[np.ndarray]]:
    """Return each seed's confusion matrices by speaker, all folds together; nothing for a method that is not there."""
    if method not in record["settings"]["methods"]:
        return []
    rows = [clip for fold in record["tested"] for clip in fold]
    truth = class_indices([label for _, _, label in rows], record["classes"])
    speakers = [speaker for _, speaker, _ in rows]
    runs = []
    for cells in record["cells"].values():
        predicted = [index for cell in cells for index in cell["predictions"][method][str(budget)]]
        runs.append(list(speaker_confusions(truth, predicted, speakers, len(record["classes"]))[1]))
    return runs


def markdown(found: Mapping[str, Any]) -> list[str]:
    """Return the lines of the table: a row a method, a column a number of labelled clips."""
    budgets = list(dict.fromkeys(row["labelled_clips"] for row in found["figures"]))
    title = f"{found['model']}, {_from(found)} to {found['target']}"
    lines = [f"# Transfer: {title}", ""]
    lines += [f"    {found['command']}", ""] if "command" in found else []
    folds, speakers = len(found["folds"]), found["n_test_speakers"]
    lines += [
        f"UA in % on {found['n_test_clips']} clips of {speakers} unseen speakers ({found['protocol']}, {folds} folds), "
        f"mean of {len(found['seeds'])} draws of labelled clips. In brackets 95 % over speakers and draws; * differs "
        f"from {REFERENCE} by more than 0 in 95 % (paired by speaker, not corrected for the number of comparisons). "
        f"Classes: {', '.join(found['classes'])}; chance is {100 / len(found['classes']):.1f} %.",
        "",
        f"| labelled clips of the target | {' | '.join(map(str, budgets))} |",
        f"|---|{'---|' * len(budgets)}",
    ]
    for method, text in found["titles"].items():
        rows = [row for row in found["figures"] if row["method"] == method]
        lines.append(f"| {method}: {text} | {' | '.join(map(_cell, rows))} |")
    if found["classes_without_source"]:
        lines += ["", f"Not among the source's classes: {', '.join(found['classes_without_source'])}."]
    lines += ["", *(f"- {line}" for line in (*found["leakage"], *found["notes"]))]
    return [*lines, f"{found['seconds'] / 60:.1f} minutes."]


def _from(found: Mapping[str, Any]) -> str:
    return found["source"] or ", ".join(sorted({one["corpus"] for one in found.get("initial", ())})) or "nothing"


def _cell(row: Mapping[str, Any]) -> str:
    low, high = row.get("gain_low"), row.get("gain_high")
    star = "*" if low is not None and high is not None and (low > 0 or high < 0) else ""
    interval = "" if row["low"] is None else f" [{100 * row['low']:.1f}, {100 * row['high']:.1f}]"
    return f"{100 * row['ua']:.1f}{star}{interval}"


@style.styled
def transfer_figure(found: Mapping[str, Any]) -> Figure:
    """Draw UA by the number of labelled clips, a line for each method, with intervals, and UA of chance."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(style.PAGE_INCHES, 4.0))
    axes = figure.subplots()
    methods: Sequence[str] = list(found["titles"])
    for number, method in enumerate(methods):
        rows = [row for row in found["figures"] if row["method"] == method]
        budgets = np.array([row["labelled_clips"] for row in rows]) * (1 + 0.015 * (number - len(methods) / 2))
        values, lows, highs = (100 * np.array([row[name] for row in rows], float) for name in ("ua", "low", "high"))
        label = "the new corpus alone" if method == REFERENCE else method.replace("-", " ")
        errors = np.maximum([values - lows, highs - values], 0)
        axes.errorbar(budgets, values, errors, marker="os^Dv<>P"[number % 8], ms=3, lw=1, label=label)
    axes.set_xscale("log")
    every = sorted({row["labelled_clips"] for row in found["figures"]})
    axes.set_xticks(every, [str(value) for value in every])
    axes.minorticks_off()
    axes.axhline(100 / len(found["classes"]), color=style.GREY, linewidth=0.8, linestyle=":", label="chance")
    axes.set(xlabel="Labelled clips of the new corpus", ylabel="UA, test clips (%)")
    axes.grid()
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return figure
