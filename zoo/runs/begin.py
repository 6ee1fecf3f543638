"""Open the folder of a run to be trained, alone; a start that fails leaves nothing in the way of the next one."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from zoo.config import saved
from zoo.config.run_config import RunConfig
from zoo.data.corpora.names import without_folders
from zoo.errors import UserError
from zoo.runs import environment
from zoo.runs.folder import fold_folders
from zoo.runs.lock import alone_in
from zoo.utils.atomic_files import ASIDE, write_json, written_aside
from zoo.utils.text import file_name

_LOCK = ".lock"
# What a start writes before the first fold is trained.
_OF_A_START = ("config.json", "data.json", environment.FILE, "speakers.npz", "teacher.csv", saved.NETWORK_FILE)


@contextmanager
def opened(settings: RunConfig, resume: bool) -> Iterator[Path]:
    """Yield the run's folder, locked, with its config.json; with `resume` that of an earlier start.

    Where the body fails before a fold has a folder, what this start has made is removed: files and new folders, never
    others. After Ctrl-C it stays, to be resumed. Raises UserError for a folder of something else, of another
    configuration or in use.
    """
    folder, made = _made(settings)
    try:
        _check(folder, settings, resume)  # before a lock file is left in somebody's folder
        _make(folder)
        with alone_in(folder):
            begun = not _check(folder, settings, resume)
            try:
                if begun:
                    if settings.network_file:
                        with written_aside(folder / saved.NETWORK_FILE) as aside:
                            aside.write_bytes(Path(settings.network_file).read_bytes())
                    write_json(folder / "config.json", settings.saved())
                yield folder
            except Exception:  # raised again behind the removal
                if begun and not fold_folders(folder):
                    _forget(folder)
                raise
    finally:
        for place in made:  # the inner ones first; those that hold something stay
            with suppress(OSError):
                place.rmdir()


def _made(settings: RunConfig) -> tuple[Path, list[Path]]:
    """Return the run's folder, and which folders have to be made for it. A folder without --out is made here."""
    if settings.out:
        folder = Path(settings.out)
        return folder, [place for place in (folder, *folder.parents) if not place.exists()]
    base = f"{file_name(settings.model)}-{without_folders(settings.corpus)}{'-synthetic' if settings.synthetic else ''}"
    runs = Path("runs")
    above = [] if runs.exists() else [runs]
    for number in count(1):
        folder = runs / (base if number == 1 else f"{base}-{number}")
        try:
            folder.mkdir(parents=True)  # so that two runs started together get one each
            return folder, [folder, *above]
        except FileExistsError:
            continue
        except OSError as error:
            raise UserError(f"{folder} cannot be made ({error.strerror}); give another --out") from error
    raise AssertionError("count() does not end")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror}); choose another folder") from error


def _check(folder: Path, settings: RunConfig, resume: bool) -> bool:
    """Say whether a run of this configuration is in the folder. Raises UserError for anything else in it."""
    path = folder / "config.json"
    if path.is_file() and resume:
        changed = saved.differences(saved.load(path), settings)
        if changed:
            raise UserError(
                f"{folder} holds a run of another configuration: {'; '.join(changed)}. Resume with the flags it was "
                "started with, or give another --out"
            )
        return True
    if folder.is_file() or (folder.is_dir() and any(map(_is_foreign, folder.iterdir()))):
        advice = "add --resume to go on with its run" if path.is_file() else "no run is in it (config.json is absent)"
        raise UserError(f"{folder} exists already: {advice}, or give another --out")
    return False


def _is_foreign(path: Path) -> bool:
    return path.name != _LOCK and not path.name.startswith(ASIDE)  # both may be of a start that was killed


def _forget(folder: Path) -> None:
    for name in (*_OF_A_START, _LOCK):
        with suppress(OSError):  # a lock file that is open cannot be removed everywhere
            (folder / name).unlink()
