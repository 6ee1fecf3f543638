"""Print what a label file holds, and how its raters err."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zoo.learning.labelling.commands import Rated
from zoo.reports.tables import decimal, percent, print_titled, table
from zoo.utils.atomic_files import write_json
from zoo.utils.text import printable

SURE = 0.9  # a clip whose likeliest class has this probability counts as settled


def print_summary(path: Path, found: Mapping[str, Any]) -> None:
    """Print what `zoo.learning.labelling.commands.summary` returns."""
    lines = [
        f"{found['segments']} clips and segments, {found['segments_by_people']} of them labelled by people, "
        f"{found['segments_by_several']} by several; {found['ties']} with a tie",
        f"agreement of people (Krippendorff's alpha; 1 perfect, 0 by chance): {decimal(found['krippendorff_alpha'])}",
    ]
    classes = table("class", numbers=["clips, by most votes of people"])
    for name, count in found["classes"].items():
        classes.add_row(printable(name), str(count))
    print_titled(f"{path}: {found['lines']} lines", lines, classes)
    raters = table("rater", "source", numbers=["labels", "agrees with other people"])
    for row in found["raters"]:
        raters.add_row(printable(row["rater"]), row["source"], str(row["labels"]), percent(row["agrees"]))
    print_titled("", [], raters)


def print_raters(path: Path, rated: Rated) -> None:
    """Print the rater model: how often each is right, and what each mixes up most."""
    counts = np.bincount(rated.votes.raters, minlength=len(rated.raters))
    right = rated.model.accuracies()
    shown = table("rater", "mixes up most", numbers=["labels", "expected to be right"])
    for number in np.argsort(-right, kind="stable"):
        row = [printable(rated.raters[number]), printable(_mixed_up(rated, number))]
        shown.add_row(*row, str(counts[number]), percent(float(right[number])))
    sure = float((rated.model.posterior(rated.votes).max(axis=1) >= SURE).mean())
    lines = [
        "by the model of Dawid and Skene (1979), from the labels alone; raters with few labels count as ordinary ones",
        f"{percent(sure)} of {len(rated.segments)} clips have a class of probability {SURE:g} or more",
    ]
    print_titled(f"{path}: {len(rated.raters)} raters", lines, shown)


def _mixed_up(rated: Rated, rater: int) -> str:
    """Return the most frequent confusion of a rater, in words."""
    wrong = rated.model.prior[:, None] * rated.model.confusions[rater]
    np.fill_diagonal(wrong, 0)
    true, answer = np.unravel_index(wrong.argmax(), wrong.shape)
    if not wrong.any():
        return ""
    share = rated.model.confusions[rater, true, answer]
    return f"{rated.classes[true]} for {rated.classes[answer]} ({percent(float(share))})"


def write_raters(path: Path, rated: Rated) -> None:
    """Write the rater model as JSON: classes, prior, and a confusion matrix (true classes, answers) for each rater."""
    content = {
        "classes": list(rated.classes),
        "prior": rated.model.prior.round(6).tolist(),
        "all_raters": rated.model.common.round(6).tolist(),
        "raters": {
            name: matrix.round(6).tolist() for name, matrix in zip(rated.raters, rated.model.confusions, strict=True)
        },
    }
    write_json(path, content)
