"""Extract the features that a network takes of the recordings of a corpus, a table or a list, into a folder of shards.

    python scripts/extract.py --model compare_svm --corpus table --data-root million.csv --out features/ --workers 4
    python scripts/extract.py --model residual_bigru --corpus ravdess --data-root DIR --out features/ --storage int8
    python scripts/extract.py --model egemaps_svm --list files.parquet --out features/ --workers 64 --ray auto
    python scripts/extract.py --model deep_spectrum_svm --from-run runs/NAME --fold 0 --list files.txt --out vectors/

Features are those of the network's front-end: log-mels, MFCCs, openSMILE's functionals. Those of deep_spectrum_svm are
embeddings: the joint vector of a finished run. The folder gets shards/NNNNNN.npz (or .parquet), in the order of the
list whatever the number of workers, and failed.csv with the recordings that could not be used; the exit code is then 1.
With --resume, shards that are finished stay, and the others are made.

    from zoo.features.storage import read_folder
    for name, features in read_folder(Path("features")):  # float32 (frames, columns), from any --storage
"""

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from zoo.config import flags, packages
from zoo.config.groups import GROUPS
from zoo.config.run_config import RunConfig
from zoo.distributed import command, shards
from zoo.errors import UserError
from zoo.features import storage
from zoo.features.shards import Wanted, clips_of, fold_of, items_of, resolved, run_of
from zoo.inference import places
from zoo.utils.parser import Parser

_GROUPS = (
    "spectrum",
    "log_mel",
    "mfcc",
    "functionals",
    "windows",
    "steps",
    "clip",
    "joint",
    "image",
    "weights",
    "encoder",
    "clip_frames",
)
_FIELDS: tuple[str, ...] = (
    "model",
    "recipe",
    "corpus",
    "data_root",
    "column",
    "from_names",
    "audio_root",
    "synthetic",
    "clips",
)
_FIELDS += ("allow_incomplete", "max_clip_seconds", "cache_dir", "statistics", "seed", "backend", "out")
_PLACES = ("data_root", "audio_root", "cache_dir", "out")  # say where things are, not what comes out
_SHARD_SIZE = 256


def main() -> int:
    args = _parser().parse_args()
    given = {name: value for name, value in vars(args).items() if name in _names() and value is not None}
    command.check(args)
    if not args.out:
        raise UserError("--out is missing; name a folder for the features with --out DIR")
    if args.list and (beside := [name for name in ("corpus", "data_root", "synthetic") if name in given]):
        raise UserError(f"--list and --{beside[0].replace('_', '-')} exclude each other; give one of them")
    if not args.list and "corpus" not in given:
        raise UserError("expected recordings by --corpus NAME or --list FILE, found neither")
    if args.format == "parquet":
        storage.pyarrow("--format parquet")
    config = resolved(flags.from_flags(given), bool(args.list))
    packages.check(config)
    wanted = Wanted(config, args.storage, args.format, _fold(config, args.fold), args.cached)
    unusable: dict[str, tuple[str, str, str]] = {}

    def on_bad(name: str, message: str) -> None:
        unusable.setdefault(name, (name, "missing", message))

    items: Iterable[Any] = places.in_turn((), args.list, None, on_bad) if args.list else items_of(clips_of(config))
    size, suffix = args.shard_size or _SHARD_SIZE, storage.SUFFIXES[args.format]
    with shards.opened(Path(args.out), _about(wanted), items, size, suffix, args.resume) as found:
        shards.write_unusable(found.folder, list(unusable.values()))
        return command.work(found, wanted.job(), args)


def _parser() -> Parser:
    parser = Parser(description=__doc__)
    groups = {name: parser.add_argument_group(title) for name, title in GROUPS.items()}
    groups["run"].add_argument("--list", type=Path, help="file that names recordings, in place of a corpus")
    groups["joint"].add_argument("--fold", help="number of the fold whose network is used (default: its only one)")
    for name in _names():
        flags.add_flag(groups[RunConfig.__dataclass_fields__[name].metadata["group"]], name)
    output = parser.add_argument_group("output")
    output.add_argument("--format", choices=tuple(storage.SUFFIXES), default="npz", help="of the shards (default: npz)")
    kinds = "of the numbers; of the others, each shard has scale and offset by column (default: float32)"
    output.add_argument("--storage", choices=storage.STORAGES, default="float32", help=kinds)
    output.add_argument("--resume", action="store_true", help="leave out the shards that --out already has")
    output.add_argument(
        "--cached", action="store_true", help="take features from the cache of train.py, and keep them there"
    )
    workers = parser.add_argument_group("workers")
    workers.add_argument("--workers", type=int, default=1, help="processes, each with its own front-end (default: 1)")
    command.add_flags(workers, str(_SHARD_SIZE))
    parser.hide(set(_names()) - {*flags.OFTEN, "from_run"} | {"ray", "shard_size", "cpus_per_shard", "gpus_per_shard"})
    parser.hide(("cached", "storage"))
    parser.set_defaults(out="")
    return parser


def _names() -> list[str]:
    """Return the settings of runs that features depend on."""
    fields = dataclasses.fields(RunConfig)
    chosen = [item.name for item in fields if item.name in _FIELDS or item.metadata["group"] in _GROUPS]
    return [name for name in chosen if name != "standardize_speakers"]  # which training does


def _fold(config: RunConfig, number: str | None) -> str:
    if config.from_run:
        return fold_of(Path(config.from_run), number)
    if number is not None:
        raise UserError(f"--fold {number}: has an effect with --from-run alone; leave it out")
    return ""


def _about(wanted: Wanted) -> dict[str, Any]:
    """Return what the features depend on, beside the recordings, in JSON's types."""
    config = wanted.config
    about = {name: getattr(config, name) for name in _names() if name not in _PLACES}
    about |= {"storage": wanted.storage, "format": wanted.format, "fold": wanted.fold, "run_sha256": run_of(wanted)}
    return {**about, "column": dict(config.column), "folder_of_names": str(Path.cwd())}
