"""A search as TensorBoard's HParams dashboard shows it: an event file per trial, and one for what they differ in.

The files are written from TensorBoard's own messages, without TensorFlow: TensorBoard's writer would import that
wherever it is installed, which takes seconds, and a search on JAX or PyTorch may not have it.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tuning.results import figures
from tuning.trials import ENDS, Trial
from zoo.errors import UserError
from zoo.utils.atomic_files import ASIDE

FOLDER = "tensorboard"
SCORE = "score"
_FILE = "events.out.tfevents.0.search"


def is_installed() -> bool:
    return find_spec("tensorboard") is not None


def write(folder: Path, space: Mapping[str, Any], trials: Sequence[Trial]) -> None:
    """Writes FOLDER in a search's folder anew: a session per finished trial, with its values, its status, its score
    and, where its run folder is here, its learning curve.

    A completed or pruned trial has succeeded there, an infeasible or failed one has not. Raises UserError where it
    cannot be written; then the old one stays.
    """
    aside, place, old = (folder / name for name in (f"{ASIDE}{FOLDER}", FOLDER, f"{ASIDE}{FOLDER}-old"))
    try:
        for rest in (aside, old):
            shutil.rmtree(rest, ignore_errors=True)
        _write_events(aside, [(time.time(), 0, _experiment(space))])
        for trial in trials:
            if trial.status in ENDS:
                _write_events(aside / trial.id, _session(folder / "trials" / trial.id, space, trial))
        if place.exists():
            place.replace(old)
        aside.replace(place)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise UserError(
            f"{place}: cannot be written ({error.strerror or error}); free space there and show the search again"
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _experiment(space: Mapping[str, Any]) -> Any:
    """The summary that says what trials differ in."""
    from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

    infos = []
    for name, wanted in space.items():
        kind = {float: "FLOAT64", bool: "BOOL", str: "STRING"}[_kind(wanted)]
        info = api_pb2.HParamInfo(name=name, type=getattr(api_pb2, f"DATA_TYPE_{kind}"))
        if isinstance(wanted, Mapping):
            info.domain_interval.min_value, info.domain_interval.max_value = wanted["low"], wanted["high"]
        else:
            info.domain_discrete.extend([_value(wanted, item) for item in wanted])
        infos.append(info)
    metric = api_pb2.MetricInfo(name=api_pb2.MetricName(tag=SCORE), dataset_type=api_pb2.DATASET_VALIDATION)
    experiment = api_pb2.Experiment(hparam_infos=infos, metric_infos=[metric], time_created_secs=time.time())
    return _summary(metadata.EXPERIMENT_TAG, plugin_data_pb2.HParamsPluginData(experiment=experiment))


def _session(run: Path, space: Mapping[str, Any], trial: Trial) -> Iterable[tuple[float, int, Any]]:
    """Times, steps and summaries of a trial."""
    from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2
    from tensorboard.plugins.scalar.summary_v2 import scalar_pb

    record = run / "metrics.json"
    end = record.stat().st_mtime if record.is_file() else time.time()
    begin = end - trial.seconds
    start = plugin_data_pb2.SessionStartInfo(group_name=trial.id, start_time_secs=begin)
    for name, wanted in space.items():
        value = _value(wanted, trial.values[name])
        field = {bool: "bool_value", float: "number_value", str: "string_value"}[type(value)]
        setattr(start.hparams[name], field, value)
    yield (
        begin,
        0,
        _summary(metadata.SESSION_START_INFO_TAG, plugin_data_pb2.HParamsPluginData(session_start_info=start)),
    )
    curve = figures.curve(run)
    if curve:
        for epoch, score in enumerate(curve.mean(), start=1):
            yield end, epoch, scalar_pb(curve.objective, score)
    if trial.score is not None:
        yield end, 0, scalar_pb(SCORE, trial.score)
    status = api_pb2.STATUS_SUCCESS if trial.status in ("completed", "pruned") else api_pb2.STATUS_FAILURE
    ended = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=end)
    yield end, 0, _summary(metadata.SESSION_END_INFO_TAG, plugin_data_pb2.HParamsPluginData(session_end_info=ended))


def _kind(wanted: Any) -> type:
    """What a hyper-parameter's values are on the dashboard, which has one kind for all of them."""
    if isinstance(wanted, Mapping):
        return float
    if all(isinstance(item, bool) for item in wanted):
        return bool
    if all(isinstance(item, int | float) and not isinstance(item, bool) for item in wanted):
        return float
    return str


def _value(wanted: Any, value: Any) -> Any:
    kind = _kind(wanted)
    return figures.in_words(value) if kind is str else kind(value)


def _summary(tag: str, content: Any) -> Any:
    from tensorboard.compat.proto import summary_pb2
    from tensorboard.plugins.hparams import metadata

    summary = summary_pb2.Summary()
    summary.value.add(tag=tag, metadata=metadata.create_summary_metadata(content), tensor=metadata.NULL_TENSOR)
    return summary


def _write_events(folder: Path, summaries: Iterable[tuple[float, int, Any]]) -> None:
    from tensorboard.compat.proto import event_pb2
    from tensorboard.summary.writer.record_writer import RecordWriter

    folder.mkdir(parents=True)
    with (folder / _FILE).open("wb") as file:
        records = RecordWriter(file)
        records.write(event_pb2.Event(wall_time=0, file_version="brain.Event:2").SerializeToString())
        for wall_time, step, summary in summaries:
            records.write(event_pb2.Event(wall_time=wall_time, step=step, summary=summary).SerializeToString())
