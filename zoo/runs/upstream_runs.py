"""Find the finished runs whose models another run uses, and check that they were not trained on its test utterances."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo.config import saved
from zoo.config.run_config import RunConfig
from zoo.data.schema import Fold
from zoo.errors import UserError
from zoo.runs.folder import fold_folders, read_record, read_rows

FLAGS = {"from_run": "--from-run", "enhancer": "--enhancer"}


def named(settings: RunConfig) -> dict[str, Path]:
    """Return the runs that a configuration names, by field."""
    return {name: Path(getattr(settings, name)) for name in FLAGS if getattr(settings, name)}


def check(settings: RunConfig, folds: Sequence[Fold]) -> None:
    """Raise UserError unless the named runs are finished and have tested every test clip in the fold of the same name.

    They were then trained on none of them. Runs of another corpus need not have tested anything.
    """
    for name, run in named(settings).items():
        flag = FLAGS[name]
        theirs, _ = saved.load(run / "config.json"), read_record(run)
        if not _same_corpus(theirs, settings):
            folder_of(name, settings, folds[0].name)
            continue
        if theirs.protocol != settings.protocol:
            found = f"{flag} {run} was trained under {theirs.protocol}, this is {settings.protocol}"
            raise UserError(f"{found}: clips it was trained on would be tested. Add --protocol {theirs.protocol}")
        for fold in (fold for fold in folds if fold.test):
            tested = {row["clip"] for row in read_rows(folder_of(name, settings, fold.name), ("clip",))}
            unseen = sorted({clip.name for clip in fold.test} - tested)
            if unseen:
                found = f"has not tested {len(unseen)} of the {len(fold.test)} clips to be tested, first {unseen[0]}"
                raise UserError(f"{flag} {run}: its fold {fold.name} {found}. Give a run on the same clips")


def folder_of(name: str, settings: RunConfig, fold: str) -> Path:
    """Return the folder of the upstream fold for a fold of `settings`; `name` is a field of `FLAGS`.

    On the same corpus it has the same name; a run of another corpus must have one fold. Raises UserError without one.
    """
    run, flag = Path(getattr(settings, name)), FLAGS[name]
    folders = fold_folders(run)
    same = _same_corpus(saved.load(run / "config.json"), settings)
    found = f"{flag} {run} has folds {', '.join(folders) or 'none'}"
    if same and fold not in folders:
        expected = f"expected {fold}, whose test clips the others may have seen"
        raise UserError(f"{found}, {expected}. Give --fold as the run had it")
    if not same and len(folders) != 1:
        raise UserError(f"{found}, expected one, as it is of another corpus. Give a run of one fold")
    return folders[fold] if same else next(iter(folders.values()))


def hashes(settings: RunConfig, folds: Sequence[Fold]) -> dict[str, str]:
    """Return the SHA-256 of the models of upstream runs, and of the noise they were trained in, for the records.

    A run with noise of its own has that as noise_sha256, and theirs under NAME_noise_sha256.
    """
    found: dict[str, str] = {}
    for name, run in named(settings).items():
        digest = hashlib.sha256()
        for folder in dict.fromkeys(folder_of(name, settings, fold.name) for fold in folds):
            if not (model := folder / "model.keras").is_file():
                raise UserError(f"{model}: no trained model is there; train {FLAGS[name]} {run} to the end first")
            digest.update(model.read_bytes())
        found[f"{name}_sha256"] = digest.hexdigest()
        record: Mapping[str, Any] = read_record(run)
        if "noise_sha256" in record:
            found[f"{name}_noise_sha256" if settings.noise else "noise_sha256"] = record["noise_sha256"]
    return found


def _same_corpus(theirs: RunConfig, settings: RunConfig) -> bool:
    return (theirs.corpus, theirs.synthetic) == (settings.corpus, settings.synthetic)
