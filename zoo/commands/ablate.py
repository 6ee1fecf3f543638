"""Train a recipe without each of its ingredients, and plain training with each alone, on one fold's validation clips.

    python scripts/ablate.py --model residual_bigru --corpus ravdess --data-root DIR --protocol ravdess-inner \\
        --fold 3 --epochs 40 --out docs/runs/ablation
    python scripts/ablate.py ... --only mixup tempo --seeds 0 1 2     # more seeds for what moved
    python scripts/ablate.py ... --ingredients further.json           # {"speeds": {"augment_waveforms": "speed"}}

Ingredients are all settings of the recipe other than the defaults, apart from its length, rate, batches and network;
--ingredients adds others, settings by their names in config.json. Every run trains all epochs. --out gets a record for
each finished run (NAME.json), table.md, table.csv and table.png; models lie in --runs. Repeat an interrupted command to
go on. All flags of train.py hold for all runs.
"""

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from zoo.config import flags as config_flags
from zoo.config import packages
from zoo.errors import UserError
from zoo.runs.dataset import open_source, resolve
from zoo.studies import ablation
from zoo.utils.backends import announce_device, use_backend
from zoo.utils.parser import Numbers, Parser
from zoo.utils.text import printable


def main() -> None:
    parser = Parser(description=__doc__)
    study = parser.add_argument_group("ablation")
    study.add_argument("--ingredients", type=Path, metavar="FILE", help="JSON of further ingredients")
    study.add_argument("--only", nargs="+", default=[], metavar="NAME", help="ingredients studied (default: all)")
    study.add_argument("--seeds", action=Numbers, nargs="+", default=[0], help="of every run (default: 0)")
    study.add_argument("--runs", type=Path, metavar="DIR", help="folder of the runs (default: runs/ and --out's name)")
    config_flags.add_flags(parser)
    parser.hide(("seed",))  # --seeds
    given = vars(parser.parse_args())
    own: dict[str, Any] = {name: given.pop(name) for name in ("ingredients", "only", "seeds", "runs")}
    out, base = _checked(given)
    further = ablation.read_further(own["ingredients"]) if own["ingredients"] else {}
    variants = ablation.variants(base, further, own["only"])
    fixed = {"patience": base.epochs}
    jobs = [
        (variant, seed, resolve(ablation.settings(given, variant, **fixed, seed=seed)))
        for seed in dict.fromkeys(own["seeds"])  # every variant once before the next seed
        for variant in variants
    ]
    source = open_source(resolve(base))
    if len(source.folds) != 1 or not source.folds[0].validation:
        raise UserError(f"--fold {base.fold or 'all'}: expected the number of one fold with validation clips. Give it")
    # Test clips are not opened.
    source = replace(source, folds=tuple(replace(fold, test=()) for fold in source.folds))
    packages.check(base)
    use_backend(base.backend)

    from zoo.studies import ablation_report, validation_runs
    from zoo.utils.progress import Progress

    validation_runs.check(base)
    announce_device()
    runs = own["runs"] or Path("runs") / out.name
    records: dict[str, list] = {variant.name: [] for variant in variants}
    every = [
        (variant, validation_runs.Job(f"{variant.file}-seed-{seed}", settings, source, _about(variant)))
        for variant, seed, settings in jobs
    ]
    for _, job in every:
        validation_runs.kept(job, out)  # a record of another command fails before hours are spent
    command = shlex.join(["python", "scripts/ablate.py", *sys.argv[1:]])
    with Progress() as progress:
        for number, (variant, job) in enumerate(every, start=1):
            progress.line(f"{number} of {len(every)}: {variant.name}, seed {job.settings.seed}")
            records[variant.name].append(validation_runs.record(job, out, runs, progress))
            ablation_report.write(variants, records, out, command)
    print(f"results: {printable(str(out / 'table.md'))}")


def _checked(given: dict[str, Any]) -> tuple[Path, Any]:
    """Return the folder of results, and the configuration of the recipe; leave in `given` what all runs share."""
    for name, instead in (("seed", "--seeds"), ("patience", "none: all epochs are trained")):
        if name in given:
            raise UserError(f"--{name} {given[name]} has no effect here; give {instead}")
    if "out" not in given:
        raise UserError("--out: expected a folder for records and tables, found none. Add it")
    out = Path(given.pop("out"))
    if "option" in given:
        given["option"] = config_flags.parse_options(given["option"])
    return out, config_flags.from_flags(given)


def _about(variant: ablation.Variant) -> dict[str, Any]:
    return {"study": "ablation", "variant": variant.name, "changes": dict(variant.changes)}
