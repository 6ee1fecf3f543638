"""Train a network of the zoo on a corpus, fold by fold, and test it.

    python scripts/train.py --model attention_blstm_fcn --corpus iemocap --data-root DIR
    python scripts/train.py --model attention_blstm_fcn --corpus iemocap --synthetic
    python scripts/train.py --model attention_fcn --corpus ravdess --data-root DIR --fold 0 --out runs/mine --resume
    python scripts/train.py --model conv_lstm --corpus recola --data-root DIR
    python scripts/train.py --from-search searches/NAME
    python scripts/train.py ... --fold final --epochs-from runs/FOLDS --figures-from runs/FOLDS

Results lie in runs/NAME: config.json, metrics.json, predictions.csv and a figure of all folds together, and a folder
per fold with its model.keras, history.csv and curves.png.
"""

from zoo.utils.cli import run  # isort: skip  # first: it takes Ctrl-C

import argparse
from pathlib import Path

from zoo import catalogue
from zoo.config import flags
from zoo.errors import UserError
from zoo.runs import folds_of_final, own_pool, sides
from zoo.runs.dataset import open_source, resolve
from zoo.utils.backends import announce_device, use_backend
from zoo.utils.text import printable


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=catalogue.in_plain_text(), formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out, with its flags")
    parser.add_argument(
        "--from-search", metavar="DIR", help="train the best trial of a search (tune.py), changed by the flags given"
    )
    flags.add_flags(parser)
    parser.add_argument(
        "--epochs-from",
        type=Path,
        metavar="RUN",
        help="as many epochs as a finished run needed; keep the last",
    )
    given = vars(parser.parse_args())
    resume, search = given.pop("resume"), given.pop("from_search")
    if (folds := given.pop("epochs_from")) is not None:
        for name in ("epochs", "keep"):
            if name in given:
                raise UserError(f"--epochs-from and --{name} exclude each other; give one of them")
        given |= {"epochs": folds_of_final.epochs(folds), "keep": "last"}
        print(f"--epochs {given['epochs']} --keep last, as {printable(str(folds))} had it")
    if search:
        from tuning.results.show import best_of

        found = best_of(Path(search))
        if "option" in given:
            given["option"] = {**found.get("option", {}), **flags.parse_options(given["option"])}
        given = {**found, **given}
    settings = flags.resume(given) if resume else flags.from_flags(given)
    use_backend(settings.backend)
    resolved = resolve(settings)
    # Reports a wrong folder before the backend takes its seconds to start.
    sides.check(resolved, open_source(resolved).folds)

    from zoo.reports.tables import print_untested
    from zoo.runs.folder import is_tested, read_record
    from zoo.training.tasks import base as tasks  # after the backend is chosen
    from zoo.training.train import train

    announce_device()
    finished = train(settings, resume)
    record = read_record(finished.folder)
    shown = tasks.of(settings.model).report.print_metrics if is_tested(record) else print_untested
    shown(record, finished.title())
    for line in own_pool.in_words(record.get("corpora", {})):
        print(printable(line))
    print(f"results: {printable(str(finished.folder))}")


if __name__ == "__main__":
    run(main)
