"""Write the table network x format of docs/serving.md, by exporting a small run of every network of the registry.

Each is trained on synthetic speech (networks for one epoch), exported, and run in the format's own runtime. A cell is
yes when the answers agree, or the reason why the network was refused. Image networks are left out: an attempt with
AlexNet took over 16 GB of memory.
"""

from zoo.utils.cli import run  # isort: skip  # first: it takes Ctrl-C

from pathlib import Path
from tempfile import TemporaryDirectory

from zoo.utils.atomic_files import written_aside
from zoo.utils.backends import use_backend
from zoo.utils.parser import Parser

DOCUMENT = Path(__file__).parents[1] / "docs" / "serving.md"
START, END = "<!-- formats -->\n", "\n<!-- end -->"


def main() -> int:
    parser = Parser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit code 1 when it is out of date")
    args = parser.parse_args()
    use_backend("tensorflow")
    from zoo.export.formats import FORMATS, check_installed
    from zoo.registry import MODELS

    for name in FORMATS:
        check_installed(name)
    rows = [f"| `--model` | saved_model | {' | '.join(FORMATS)} |", f"|---|---|{'---|' * len(FORMATS)}"]
    for name, entry in MODELS.items():
        if entry.task == "enhancement" or entry.frontend == "image":
            continue
        with TemporaryDirectory(prefix="formats-") as place:
            rows.append(f"| `{name}` | yes | {' | '.join(_cells(name, Path(place)))} |")
        print(rows[-1], flush=True)
    old = DOCUMENT.read_text()
    before, _, rest = old.partition(START)
    new = before + START + "\n".join(rows) + END + rest.partition(END)[2]
    if args.check:
        return int(new != old)
    with written_aside(DOCUMENT) as aside:
        aside.write_text(new)
    return 0


def _cells(name: str, place: Path) -> list[str]:
    """Train and export a model in every format, as users do; "yes", or the reason why not."""
    from zoo.export.formats import FORMATS, RefusedError, export

    folder, cells = _trained(name, place), []
    for format in FORMATS:
        try:
            export(folder, place / format, format)
            cells.append("yes")
        except RefusedError as error:
            reason = str(error).partition(": ")[2].partition(", node name")[0][:160]
            cells.append(f"no: {reason.replace('|', '/')}")
    return cells


def _trained(name: str, place: Path) -> Path:
    """Train one fold of a model on a few synthetic utterances or recordings; return its run's folder."""
    from zoo import registry
    from zoo.config.flags import from_flags
    from zoo.config.run_config import heeds
    from zoo.training.train import train

    entry = registry.get(name)
    flags = {"model": name, "corpus": "recola", "synthetic": True, "fold": "0", "cache_dir": f"{place}/cache"}
    if entry.task == "emotion":
        # A principal component needs a training clip.
        flags |= {"corpus": "emodb", "clips": 210 if entry.options.get("components") else 70}
    elif heeds(name, "segment_seconds"):
        flags["segment_seconds"] = 0.8  # networks that look at whole segments of 6 s took over 16 GB of memory
    if entry.fitted == "gradient":
        flags["epochs"] = 1
    if entry.frontend == "joint":
        flags["from_run"] = str(_trained("attention_blstm_fcn", place))
    return train(from_flags({**flags, "out": f"{place}/{name}"})).folder


if __name__ == "__main__":
    run(main)
