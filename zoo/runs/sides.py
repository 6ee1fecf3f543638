"""Check folds without training, validation or test clips, and refuse settings that need those they lack."""

from collections.abc import Iterable, Sequence

from zoo import registry
from zoo.config.run_config import RunConfig
from zoo.data.schema import Fold
from zoo.errors import UserError
from zoo.runs import folds_of_final

FINAL = "final"  # value of --fold, and the name of the fold that trains on every clip
NAMES = ("train", "validation", "test")


def final(folds: Iterable[Fold]) -> Fold:
    """Return the fold that trains on every clip of a protocol's folds, without validation and test."""
    clips = {clip.name: clip for fold in folds for side in fold.sides for clip in side}
    return Fold(FINAL, tuple(clips[name] for name in sorted(clips)), (), ())


def present(folds: Sequence[Fold]) -> list[str]:
    """Return the names of the sides that have clips in every fold."""
    return [name for name in NAMES if all(getattr(fold, name) for fold in folds)]


def need(config: RunConfig, folds: Sequence[Fold], *names: str) -> None:
    """Raise UserError where folds lack one of the sides `names`, which a study cannot do without."""
    for name in names:
        if name not in present(folds):
            raise UserError(
                f"--protocol {config.protocol}, fold {folds[0].name} has no {name} clips, which this needs. Choose "
                "another --protocol or --fold"
            )


def check(config: RunConfig, folds: Sequence[Fold]) -> None:
    """Raise UserError for settings that choose something on validation clips where folds have none.

    And for a run of --figures-from that is not of the same recipe's folds, or beside folds that are tested.
    """
    if config.figures_from and config.fold != FINAL:
        raise UserError(f"--figures-from has no effect on --fold {config.fold}; leave it out, or give --fold {FINAL}")
    folds_of_final.figures(config)
    if "validation" in present(folds):
        return
    found = f"--protocol {config.protocol}, fold {folds[0].name} has no validation clips"
    entry = registry.get(config.model)
    if entry.task != "emotion":
        raise UserError(
            f"{found}, on which {config.model} fits more than its weights. Choose another --protocol or --fold"
        )
    if entry.fitted == "linear" and len(config.complexities) > 1:
        raise UserError(
            f"{found} to choose among {len(config.complexities)} values of C. Give the one that folds with validation "
            "chose, such as --complexities 1e-4"
        )
    if entry.fitted != "linear" and config.keep != "last":
        raise UserError(
            f"{found} to choose an epoch by. Add --keep last, which trains all of --epochs N (now {config.epochs}) and "
            "keeps the last one's weights"
        )
