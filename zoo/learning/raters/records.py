"""Run the studies of `zoo.learning.raters.study`, and write their records: JSON, a CSV for each, and a figure."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.data.corpora.cremad import EMOTIONS
from zoo.learning.raters.how_many import fit_unnamed
from zoo.learning.raters.study import FIGURES, GRID, MARGIN, N_CLIPS, WANTED, OnStep, how_many, read_counts, whom
from zoo.learning.raters.whom import CALIBRATION, PANEL, SHARE, WAYS
from zoo.metrics.agreement import krippendorff_alpha
from zoo.reports import style
from zoo.reports.figures import save
from zoo.utils.atomic_files import write_csv, write_json

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = Mapping[str, Any]


def study(votes: Path, seeds: Sequence[int], out: Path, on_step: OnStep) -> None:
    """Run both studies and write their records to the folder `out`.

    Simulated raters label classes as frequent as those of the votes. Raises UserError for another file.
    """
    counted, begin, words = read_counts(votes), time.monotonic(), " ".join(map(str, seeds))
    model = fit_unnamed(counted.counts)
    record: dict[str, Any] = {
        "command": f"python scripts/label.py simulate --votes {votes.name} --seeds {words} --out DIR",
        "votes": "CREMA-D, processedResults/tabulatedVotes.csv, voice alone",
        "clips": len(counted.counts),
        "actors": len(np.unique(counted.actors)),
        "votes_per_clip": round(float(counted.counts.sum(axis=1).mean()), 3),
        "krippendorff_alpha": round(krippendorff_alpha(counted.counts), 4),
        "classes": list(EMOTIONS.values()),
        "prior": model.prior.round(4).tolist(),
        "answers_by_class": model.common.round(4).tolist(),
        "margin": MARGIN,
        "simulated": {"clips": N_CLIPS, "panel": dict(PANEL), "calibration": CALIBRATION, "share": SHARE},
        "how_many": how_many(counted, seeds),
    }
    on_step("how many: done")
    record["whom"] = whom(model.prior.tolist(), seeds, on_step)
    record["seconds"] = round(time.monotonic() - begin)
    write(record, out)
    on_step(f"{out}: raters.json, how-many.csv, whom.csv, raters.png")


def write(record: Row, folder: Path) -> None:
    """Write raters.json, how-many.csv, whom.csv and raters.png, .svg, .pdf of a record's rows "how_many" and "whom"."""
    write_json(folder / "raters.json", {**record, "whom": summary(record["whom"])})
    write_csv(folder / "how-many.csv", [_flat(row) for row in record["how_many"]])
    write_csv(folder / "whom.csv", summary(record["whom"], flat=True))
    save(raters_figure(record), folder / "raters.png", "Agreement and accuracy by number of votes for a clip")


def summary(rows: Sequence[Row], flat: bool = False) -> list[dict[str, Any]]:
    """Return a row for each way: means over the seeds, and the lowest and highest of them, to four digits."""
    found = []
    for way in WAYS:
        some = [row for row in rows if row["way"] == way]
        columns = {f"accuracy_{n:g}": [row["accuracy"][f"{n:g}"] for row in some] for n in GRID}
        columns |= {f"votes_for_{wanted:g}": [row["votes_for"][wanted] for row in some] for wanted in WANTED}
        columns["error"] = [row["error"] for row in some]
        scores = {name: _of_seeds(values) for name, values in columns.items()}
        found.append({"way": way, "seeds": len(some)} | (_flat(scores) if flat else scores))
    return found


def _of_seeds(values: Sequence[float | None]) -> dict[str, float | None]:
    """Return mean, lowest and highest; None where a seed has no value."""
    known = [value for value in values if value is not None]
    if len(known) < len(values) or not values:
        return {"value": None, "low": None, "high": None}
    return {"value": _short(np.mean(known)), "low": _short(min(known)), "high": _short(max(known))}


def _short(value: Any) -> float:
    return round(float(value), 4)


def _flat(row: Row) -> dict[str, Any]:
    """Return a row in which each figure has three columns: itself, its low and its high bound."""
    found: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, Mapping):
            ends = {"": "value", "_low": "low", "_high": "high"}
            found |= {f"{name}{end}": "" if (v := value[key]) is None else _short(v) for end, key in ends.items()}
        else:
            found[name] = value
    return found


@style.styled
def raters_figure(record: Row) -> Figure:
    """Draw agreement with a further rater and with the actor, and accuracy of simulated raters, over votes per clip."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(style.PAGE_INCHES, 3.0))
    further, intended, simulated = figure.subplots(1, 3)
    _curves(further, record["how_many"], "further", "Agrees with a further rater (%)")
    _curves(intended, record["how_many"], "intended", "Agrees with the actor (%)")
    for row in summary(record["whom"]):
        shown = [n for n in GRID if row[f"accuracy_{n:g}"]["value"] is not None]
        low, mean, high = ([100 * row[f"accuracy_{n:g}"][key] for n in shown] for key in ("low", "value", "high"))
        (line,) = simulated.plot(shown, mean, marker=".", label=row["way"])
        simulated.fill_between(shown, low, high, color=line.get_color(), alpha=0.1)
    simulated.set_ylabel("Right labels, simulated raters (%)")
    for axes in (further, intended, simulated):
        axes.set_xlabel("Votes per clip")
        axes.grid()
        axes.legend(loc="lower right")
    return figure


def _curves(axes: Axes, rows: Sequence[Row], reference: str, label: str) -> None:
    """Draw a reference's figure over the votes of each rule's levels, without those chosen."""
    assert reference in FIGURES
    levels = [row for row in rows if not isinstance(row["level"], str)]
    for rule in dict.fromkeys(row["rule"] for row in levels):
        some = [row for row in levels if row["rule"] == rule]
        votes, agreement = ([row[name]["value"] for row in some] for name in ("votes", reference))
        axes.plot(votes, [100 * value for value in agreement], marker=".", label=rule)
    axes.set_ylabel(label)
