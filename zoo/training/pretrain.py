"""Pre-train a network on recordings without labels, and keep whose recordings these were.

Its weights are for train.py --init-from, which refuses them where a test speaker or recording is among these.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras

from zoo import registry
from zoo.config.run_config import RunConfig
from zoo.data.batches.clips import Example
from zoo.data.corpora import pool
from zoo.data.corpora import registry as corpora
from zoo.data.corpora.names import TABLE, of_table
from zoo.data.schema import Clip
from zoo.errors import UserError, shortened, unknown
from zoo.features import from_config
from zoo.runs import environment, own_pool
from zoo.runs.folder import corpus_name
from zoo.runs.lock import alone_in
from zoo.runs.pretraining_file import NAME, STARTED
from zoo.training import checkpoint
from zoo.training.fit import fit
from zoo.training.tasks import pretraining
from zoo.training.tasks.base import FoldData
from zoo.utils.atomic_files import write_json
from zoo.utils.json_files import read_json
from zoo.utils.progress import Progress

_EVERY = 10  # one speaker of so many validates
_UNTRAINED = ("first", "second")  # outputs of the network's own head, which has no part


def clips_of(config: RunConfig, left_out: Sequence[str]) -> dict[str, list[Clip]]:
    """Return the recordings of each corpus, labelled or not, without those of speakers `left_out`.

    These are NAME, of every corpus, or CORPUS:NAME. Raises UserError for one that no recording is of.
    """
    members = pool.members(config.corpus)
    found, named = {}, set()
    for member in members:
        root = own_pool.root_of(config, member, alone=len(members) == 1)
        loaded = own_pool.table_of(config, root) if member.kind == TABLE else corpora.load(member.corpus, root)
        kept = []
        for clip in loaded.clips:
            names = {clip.speaker, f"{member.name}:{clip.speaker}"} & set(left_out)
            named |= names
            kept += [] if names else [clip]
        found[member.name] = [replace(clip, name=f"{member.name}:{clip.name}") for clip in kept]
    for name in left_out:
        if name not in named:
            known = {clip.speaker for clips in found.values() for clip in clips}
            raise unknown("speaker in --leave-out-speakers", name, known)
    return found


def pretrain(config: RunConfig, left_out: Sequence[str] = (), resume: bool = False) -> Path:
    """Train a network to predict hidden frames, and write model.keras, history.csv and what is known of the recordings.

    One speaker of ten validates. With `resume` an interrupted training continues after its last whole epoch. Returns
    the folder. Raises UserError for a folder of something else, or too few speakers.
    """
    limits = [corpora.get(member.corpus).max_seconds for member in pool.members(config.corpus)]
    config = replace(config, max_clip_seconds=config.max_clip_seconds or max(limits))
    found, folder = clips_of(config, left_out), Path(config.out)
    clips = [clip for some in found.values() for clip in some]
    speakers = sorted({(name, clip.speaker) for name, some in found.items() for clip in some})
    held_out = set(speakers[::_EVERY])
    if len(speakers) < 2:
        raise UserError(f"--corpus {config.corpus}: expected recordings of two speakers or more, found {len(speakers)}")
    extractor = from_config.extractor(config)
    _check_folder(folder, resume)
    folder.mkdir(parents=True, exist_ok=True)
    with alone_in(folder), Progress() as progress:
        with progress.task("features", len(clips)) as advance:
            features, bad = from_config.features_of(config, extractor, clips, advance, config.on_bad_clip)
        of_speaker = {clip.name: (name, clip.speaker) for name, some in found.items() for clip in some}
        sides: tuple[list[Example], list[Example]] = ([], [])
        for name, item in features.items():
            sides[of_speaker[name] in held_out].append(Example(item, 0, name=name))
        if not all(sides):
            raise UserError(f"--corpus {config.corpus}: expected recordings to train and to validate on, found too few")
        recordings = _about(config, found, sorted({item.audio_sha256 for item in features.values()}))
        _check_started(folder, {"config": _comparable(config), **recordings})
        validation = sorted(sides[1], key=lambda example: example.features.n_frames)
        fold = FoldData("pretraining", folder, _UNTRAINED, sides[0], validation, from_config.frontend(config))
        history = fit(fold, config, progress, task=pretraining)
        versions = environment.here(config)
        about = {"epochs": len(history), "bad_clips": bad, "versions": versions, "config": _comparable(config)}
        write_json(folder / NAME, {**recordings, **about, **{k: history[-1][k] for k in ("loss", "validation_loss")}})
        checkpoint.remove(folder)
    return folder


def check(config: RunConfig) -> None:
    """Raise UserError for a network that cannot be pre-trained, before any recording is read."""
    if registry.get(config.model).frontend != "log_mel":
        raise UserError(f"--model {config.model}: expected a network on log-mels, found another. Give residual_bigru")
    with keras.StatelessScope(initialize_variables=False):
        network = registry.build(config.model, len(_UNTRAINED), config.bands, **config.option)
    pretraining.frames_per_step(network)
    from_config.frontend(config)


def _about(config: RunConfig, found: dict[str, list[Clip]], audio_sha256: Sequence[str]) -> dict[str, Any]:
    return {
        "model": config.model,
        "synthetic": config.synthetic,
        "corpora": {
            _public(name, config): {"licence": _licence(name), "clips": len(clips)} for name, clips in found.items()
        },
        "speakers": {_public(name, config): _speakers(clips) for name, clips in found.items()},
        "audio_sha256": list(audio_sha256),
    }


def _speakers(clips: Iterable[Clip]) -> list[str]:
    return sorted({clip.speaker for clip in clips})


def _public(name: str, config: RunConfig) -> str:
    """Return a corpus's name for the record, a table's with the folder it is in: many are called data.tsv."""
    known = name if name in corpora.CORPORA else of_table(Path(name), in_folder=True)
    return corpus_name({"synthetic": config.synthetic, "corpus": known})


def _licence(name: str) -> str:
    return corpora.CORPORA[name].licence if name in corpora.CORPORA else "unknown"


def _comparable(config: RunConfig) -> dict[str, Any]:
    places = ("data_root", "cache_dir", "out", "corpus")
    return {name: value for name, value in config.saved().items() if name not in places}


def _check_folder(folder: Path, resume: bool) -> None:
    """Raise UserError for a folder that holds something else, or an earlier start without --resume."""
    begun = (folder / STARTED).is_file()
    filled = folder.is_dir() and any(path.name != ".lock" for path in folder.iterdir())
    if folder.is_file() or (filled and not (begun and resume)):
        advice = "add --resume to go on with it" if begun else "no pre-training is in it"
        raise UserError(f"{folder} exists already: {advice}, or give another --out")


def _check_started(folder: Path, content: dict[str, Any]) -> None:
    """Write what a pre-training is started with. Raises UserError where it was started with something else."""
    path = folder / STARTED
    if not path.is_file():
        write_json(path, content)
        return
    before, now = read_json(path, "the start of a pre-training", {str: object}), json.loads(json.dumps(content))
    if differ := [name for name, value in now.items() if before.get(name) != value]:
        raise UserError(
            f"{folder}: expected the pre-training it was started with, found other {shortened(differ)}. Resume with "
            "the same flags and recordings, or give another --out"
        )
