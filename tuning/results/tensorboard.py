"""Write a search for TensorBoard's HParams dashboard: an event file per trial, and one for the space.

TensorBoard's own writer would import TensorFlow, which takes seconds or is absent.
"""

import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tuning.results import figures
from tuning.trials import ENDS, SCORED, Trial
from zoo.errors import UserError
from zoo.utils.atomic_files import ASIDE

FOLDER = "tensorboard"
_SCORE = "score"


def write(folder: Path, space: Mapping[str, Any], trials: Sequence[Trial]) -> None:
    """Replace FOLDER in a search's folder: a session per finished trial, with values, score and learning curve.

    Completed and pruned trials are successes. Raises UserError where it cannot be written; the old one stays.
    """
    aside, place = folder / f"{ASIDE}{FOLDER}", folder / FOLDER
    try:
        shutil.rmtree(aside, ignore_errors=True)
        _write_events(aside, [(time.time(), 0, _experiment(space))])
        for trial in trials:
            if trial.status in ENDS and trial.values:
                _write_events(aside / trial.id, _session(folder / "trials" / trial.id, space, trial))
        shutil.rmtree(place, ignore_errors=True)
        aside.replace(place)
    except OSError as error:
        raise UserError(f"{place}: cannot be written ({error.strerror or error}); free space there") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _experiment(space: Mapping[str, Any]) -> Any:
    """Return the summary of what trials differ in."""
    from tensorboard.plugins.hparams import summary_v2 as hp

    parameters = []
    for name, wanted in space.items():
        if isinstance(wanted, Mapping):
            domain = hp.RealInterval(float(wanted["low"]), float(wanted["high"]))
        else:
            domain = hp.Discrete([_value(wanted, item) for item in wanted])
        parameters.append(hp.HParam(name, domain))
    return hp.hparams_config_pb(parameters, [hp.Metric(_SCORE, dataset_type=hp.Metric.VALIDATION)])


def _session(run: Path, space: Mapping[str, Any], trial: Trial) -> Iterable[tuple[float, int, Any]]:
    """Yield times, steps and summaries of a trial."""
    from tensorboard.compat.proto import summary_pb2
    from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2, summary_v2
    from tensorboard.plugins.scalar.summary_v2 import scalar_pb

    record = run / "metrics.json"
    end = record.stat().st_mtime if record.is_file() else time.time()
    begin = end - trial.seconds
    values = {name: _value(wanted, trial.values[name]) for name, wanted in space.items()}
    yield begin, 0, summary_v2.hparams_pb(values, trial.id, begin)
    curve = figures.curve(run)
    if curve:
        for epoch, score in enumerate(curve.mean, start=1):
            yield end, epoch, scalar_pb(curve.objective, score)
    if trial.score is not None:
        yield end, 0, scalar_pb(_SCORE, trial.score)
    status = api_pb2.STATUS_SUCCESS if trial.status in SCORED else api_pb2.STATUS_FAILURE
    # TensorBoard's own session_end_pb imports TensorFlow.
    info = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=end)
    data = metadata.create_summary_metadata(plugin_data_pb2.HParamsPluginData(session_end_info=info))
    ended = summary_pb2.Summary()
    ended.value.add(tag=metadata.SESSION_END_INFO_TAG, metadata=data, tensor=metadata.NULL_TENSOR)
    yield end, 0, ended


def _value(wanted: Any, value: Any) -> Any:
    """Return a value in the one type that all of its hyper-parameter have on the dashboard."""
    kinds = {float} if isinstance(wanted, Mapping) else {type(item) for item in wanted}
    if kinds == {bool}:
        return value
    return float(value) if kinds <= {int, float} else figures.in_words(value)


def _write_events(folder: Path, summaries: Iterable[tuple[float, int, Any]]) -> None:
    from tensorboard.compat.proto import event_pb2
    from tensorboard.summary.writer.record_writer import RecordWriter

    events = [event_pb2.Event(wall_time=0, file_version="brain.Event:2")]
    events += [event_pb2.Event(wall_time=when, step=step, summary=summary) for when, step, summary in summaries]
    folder.mkdir(parents=True)
    with (folder / "events.out.tfevents.0.search").open("wb") as file:
        writer = RecordWriter(file)
        for event in events:
            writer.write(event.SerializeToString())
