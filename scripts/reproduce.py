"""Run the networks of a published table under one protocol and print the table beside the published one.

    python scripts/reproduce.py bakhshi-table-3 --data-root DIR --out runs/bakhshi
    python scripts/reproduce.py bakhshi-table-3 --synthetic --out runs/bakhshi-synthetic

Each network has a folder in --out; a command that was interrupted goes on when it is given again. The table's segments
and batches hold for all its networks, and so do all flags of train.py but --model and --resume; the rest is each
network's own recipe.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo import config
from zoo.cli import run, use_backend
from zoo.data.source import open_source, resolve
from zoo.errors import UserError, unknown


@dataclass(frozen=True)
class Published:
    """A table of a paper: flags common to its rows, and CCC by network and dimension."""

    source: str
    flags: dict[str, Any]
    figures: dict[str, dict[str, float]]


TABLES = {
    "bakhshi-table-3": Published(
        "Bakhshi et al. 2020, Table 3: RECOLA (AVEC), 8 s segments, batch 50",
        {"corpus": "recola", "protocol": "recola-kfold-10", "segment_seconds": 8.0, "batch_size": 50},
        {
            "conv_bigru": {"arousal": 0.660, "valence": 0.314},
            "conv_blstm": {"arousal": 0.559, "valence": 0.128},
            "conv_lstm": {"arousal": 0.546, "valence": 0.183},
        },
    )
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", help=f"known: {', '.join(TABLES)}")
    config.add_flags(parser)
    given = vars(parser.parse_args())
    name = given.pop("table")
    if "model" in given:
        raise UserError(f"--model {given['model']}: the table names its networks. Leave it out")
    if name not in TABLES:
        raise unknown("table", name, TABLES)
    published = TABLES[name]
    out = Path(given.pop("out", f"runs/{name}"))
    runs = {
        model: config.from_flags({**published.flags, **given, "model": model, "out": str(out / model)})
        for model in published.figures
    }
    use_backend(next(iter(runs.values())).backend)
    for settings in runs.values():
        open_source(resolve(settings))  # tells of a wrong folder before hours are spent

    from zoo.train import train

    found = {}
    for model, settings in runs.items():
        resume = (out / model / "config.json").is_file()
        found[model] = train(settings, resume).folder
    _print(published, found)


def _print(published: Published, found: dict[str, Path]) -> None:
    from rich.console import Console
    from rich.table import Table

    from zoo.folder import read_record

    records = {model: read_record(folder) for model, folder in found.items()}
    first = next(iter(records.values()))
    synthetic = "SYNTHETIC DATA, no reproduction · " if first["synthetic"] else ""
    table = Table(
        "network", title=f"{synthetic}{published.source}; ours under {first['protocol']}, before post-processing"
    )
    dimensions = list(next(iter(published.figures.values())))
    for dimension in dimensions:
        table.add_column(f"{dimension}: published", justify="right")
        table.add_column("ours [95 %]", justify="right")
    for model, record in records.items():
        cells = []
        for dimension in dimensions:
            score = record["dimensions"][dimension]["ccc"]
            interval = "" if score["low"] is None else f" [{score['low']:.3f}, {score['high']:.3f}]"
            cells += [f"{published.figures[model][dimension]:.3f}", f"{score['value']:.3f}{interval}"]
        table.add_row(model, *cells)
    console = Console()
    console.print(table)
    for line in (*first["leakage"], *first["notes"], *(f"{model}: {folder}" for model, folder in found.items())):
        console.print(line, markup=False, highlight=False)


if __name__ == "__main__":
    run(main)
