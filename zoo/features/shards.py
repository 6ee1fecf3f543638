"""Extract features of any number of recordings shard by shard, by the workers of a pool (zoo.distributed.shards)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from zoo import registry
from zoo.config import saved
from zoo.config.run_config import RunConfig, heeds
from zoo.data.audio.recording import BadClip
from zoo.data.batches.by_length import in_batches
from zoo.data.batches.feature_store import features_of_clip
from zoo.data.corpora import names
from zoo.data.corpora import registry as corpora
from zoo.data.schema import Clip
from zoo.data.synthetic import corpora as synthetic
from zoo.distributed import shard
from zoo.distributed.pool import Job, Runner
from zoo.errors import UserError, unknown
from zoo.features import storage as storages
from zoo.runs import own_pool, own_table
from zoo.runs.digest import of_run
from zoo.runs.folder import fold_folders
from zoo.runs.protocol import is_pool
from zoo.utils.backends import use_backend
from zoo.utils.portable import cores

LIST_SECONDS = 60.0  # longest recording of a list, unless the user says otherwise
_TOGETHER = 64  # recordings whose features are put through a network at once

Found = np.ndarray | tuple[str, str]  # features, or the kind of failure and its message
Features = Sequence[Found]


@dataclass(frozen=True)
class Wanted:
    """What to make of each recording: the features of `config`'s front-end, stored as `storage` in files of `format`.

    `fold` is that of the run whose joint vector they are, "" for other networks. With `cached`, features are taken
    from the cache, and kept there.
    """

    config: RunConfig
    storage: str = "float32"
    format: str = "npz"
    fold: str = ""
    cached: bool = False

    def job(self) -> Job:
        """Return what workers do. Names of files are relative to the current folder."""
        settings = {**vars(self), "config": self.config.saved(), "folder": str(Path.cwd()), "run_sha256": run_of(self)}
        return Job("zoo.features.shards:opened", settings, "shard")


def run_of(wanted: Wanted) -> str:
    """Return the SHA-256 of the run whose joint vectors are wanted, "" without one."""
    return of_run(Path(wanted.config.from_run)) if wanted.config.from_run else ""


def fold_of(run: Path, number: str | None) -> str:
    """Return the name of a run's fold of this number, by default of its only one. Raises UserError without one."""
    folds = {name.split("-")[0]: name for name in fold_folders(run)}
    if not folds:
        raise UserError(f"--from-run {run}: no fold of a run is in it; train it to the end first")
    if number is None and len(folds) > 1:
        raise UserError(f"--from-run {run} has the folds {', '.join(folds)}, each another network; choose by --fold")
    if number is not None and number not in folds:
        raise unknown("--fold", number, folds)
    return folds[number] if number is not None else next(iter(folds.values()))


def resolved(config: RunConfig, listed: bool) -> RunConfig:
    """Return the configuration with the corpus's limits spelt out, or those of a list of files; as train.py does."""
    if registry.get(config.model).frontend == "joint" and not config.from_run:
        raise UserError(f"--model {config.model} needs --from-run DIR, a finished run of attention_blstm_fcn")
    if config.from_run:
        theirs = saved.load(Path(config.from_run) / "config.json")
        config = replace(config, from_run=str(Path(config.from_run).resolve()))
        if listed:
            config = replace(config, corpus=theirs.corpus, synthetic=theirs.synthetic)
    if listed:
        return replace(config, max_clip_seconds=config.max_clip_seconds or LIST_SECONDS)
    if names.is_table(config.corpus):
        config = own_table.located(config)
    if is_pool(config):
        return replace(config, max_clip_seconds=config.max_clip_seconds or LIST_SECONDS)
    corpus = corpora.get(config.corpus)
    step = corpus.rating_seconds * heeds(config.model, "frame_seconds")
    return replace(
        config,
        max_clip_seconds=config.max_clip_seconds or corpus.max_seconds,
        frame_seconds=config.frame_seconds or step,
    )


def clips_of(config: RunConfig) -> list[Clip]:
    """Return all recordings of a resolved configuration's corpus, table or pool, labelled or not.

    Raises UserError for what is missing.
    """
    if is_pool(config):
        return own_pool.load(config).clips
    if names.is_table(config.corpus):
        loaded = own_table.load(config)
        own_table.absent(config, loaded)
        return loaded.clips
    if config.synthetic:
        root = synthetic.cached(config.corpus, saved.cache_folder(config), config.clips, seed=0)
    else:
        root = corpora.resolve_root(config.corpus, Path(config.data_root) if config.data_root else None)
    return corpora.load(config.corpus, root).clips


def items_of(clips: Sequence[Clip]) -> Iterator[list[Any]]:
    """Yield clips as items of shards: name, file, start and end in seconds."""
    for clip in clips:
        yield [clip.name, str(clip.path.resolve()), clip.start_seconds, clip.end_seconds]


def opened(
    config: Mapping[str, Any], storage: str, format: str, fold: str, cached: bool, folder: str, run_sha256: str
) -> Runner:
    """Return the function that extracts a shard."""
    values: dict[str, Any] = {name: tuple(one) if isinstance(one, list) else one for name, one in config.items()}
    settings = RunConfig(**values)
    wanted, loaded = Wanted(settings, storage, format, fold, cached), list[Callable[[Sequence[Clip]], Features]]()

    def make(out: Path, content: Mapping[str, Any]) -> None:
        clips = [_clip(item) for item in content["items"]]
        shard.enter(folder, [str(clip.path) for clip in clips])
        if not loaded:
            if run_of(wanted) != run_sha256:
                raise UserError(f"{settings.from_run}: expected the run that the work was begun with, found another")
            loaded.append(_extractor(wanted))
        features: dict[str, np.ndarray] = {}
        with shard.result(out, content["shard"], storages.SUFFIXES[format]) as (aside, failed):
            for clip, one in zip(clips, loaded[0](clips), strict=True):
                if isinstance(one, np.ndarray):
                    features[clip.name] = one
                else:
                    failed.append((clip.name, *one))
            storages.write(aside, storages.stored([*features], [*features.values()], storage))

    return shard.guarded(make)


def _clip(item: Any) -> Clip:
    """Return the clip of an item: a name of a file, or what `items_of` yields."""
    if isinstance(item, str):
        return Clip(Path(item), item, speaker="", label="")
    name, path, start, end = item
    return Clip(Path(path), name, speaker="", label="", start_seconds=start, end_seconds=end)


def _extractor(wanted: Wanted) -> Callable[[Sequence[Clip]], Features]:
    """Return the function from clips to their features, or why there are none. Loads Keras on the right backend."""
    config = wanted.config
    use_backend(config.backend)
    from zoo.features import from_config

    extractor = from_config.extractor(config)
    limits = extractor.rate_hz, extractor.least_seconds, config.max_clip_seconds
    body = from_config.feature_model(config, wanted.fold) if wanted.fold else None

    def of_clip(clip: Clip) -> Found:
        try:
            return features_of_clip(clip, extractor.features, *limits, extractor.of_file)
        except BadClip as error:
            return error.kind, str(error)

    def of_clips(clips: Sequence[Clip]) -> Features:
        if wanted.cached:
            return _from_cache(config, extractor, clips)
        with ThreadPoolExecutor(min(extractor.threads, len(cores()))) as pool:
            return list(pool.map(of_clip, clips))

    def vectors(clips: Sequence[Clip]) -> Features:
        found = list(of_clips(clips))
        usable = [(number, one) for number, one in enumerate(found) if isinstance(one, np.ndarray)]
        for start in range(0, len(usable), _TOGETHER):
            some = usable[start : start + _TOGETHER]
            made = in_batches(run, [features for _, features in some])
            for (number, _), vector in zip(some, made, strict=True):
                found[number] = vector[None]
        return found

    def run(rows: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        assert body is not None
        return np.asarray(body.predict_on_batch({"features": rows, "n_frames": lengths}))

    return vectors if body is not None else of_clips


def _from_cache(config: RunConfig, extractor: Any, clips: Sequence[Clip]) -> Features:
    from zoo.features import from_config

    found, bad = from_config.features_of(config, extractor, clips, on_bad_clip="skip")
    failed = {one["clip"]: (one["kind"], one["reason"]) for one in bad}
    return [found[clip.name].read() if clip.name in found else failed[clip.name] for clip in clips]
