"""Write a row of predictions as a line for people to read."""

from zoo.inference.predictions_file import Row
from zoo.inference.rows import MIX
from zoo.utils.text import printable


def for_terminal(row: Row) -> str:
    """Return a row as a line; what would act on a terminal is escaped."""
    parts = _in_words({**row, "file": printable(row["file"])} if "file" in row else row).removesuffix("\n").split("\t")
    return "\t".join(map(printable, parts)) + "\n"


def _in_words(row: Row) -> str:
    mark = "\ttrained on synthetic speech" if row["trained_on"].startswith("synthetic") else ""
    place = [row["file"]] if "file" in row else []
    if row.get("channel", MIX) != MIX:
        place.append(f"channel {row['channel']}")
    if row.get("start") is not None:
        place.append(f"{row['start']:.2f} to {row['end']:.2f} s")
    elif row.get("time") is not None:
        place.append(f"{row['time']:.2f} s")
    if row["reason"]:
        parts = [*place, "no emotion" if "probabilities" in row else "no ratings", row["reason"]]
    elif "ratings" in row:
        parts = [*place, "  ".join(f"{name} {value:.3f}" for name, value in row["ratings"].items())]
    elif "probabilities" in row:
        shares = sorted(row["probabilities"].items(), key=lambda item: -item[1])
        parts = [*place, row["emotion"], "  ".join(f"{name} {share:.3f}" for name, share in shares)]
        if row["confidence"] is not None:
            parts.append(f"confidence {row['confidence']:.3f}{', abstained' if row['abstained'] else ''}")
        for name, value in row.get("targets", {}).items():
            one = isinstance(value, dict)
            parts.append(
                f"{name} "
                + (f"{value['prediction']} {max(value['probabilities'].values()):.3f}" if one else f"{value:.4g}")
            )
    else:
        others = ("file", "time", "trained_on", "reason")
        ratings = (f"{name} {value:+.3f}" for name, value in row.items() if name not in others)
        parts = [*place, "  ".join(ratings)]
    parts += row.get("quality", {}).get("notes", ())
    return "\t".join(parts) + f"{mark}\n"
