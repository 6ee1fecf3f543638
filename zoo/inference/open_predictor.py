"""Open the folder of a run or of an export for prediction."""

import os
import sys
from pathlib import Path

from zoo import registry
from zoo.config import saved
from zoo.errors import UserError
from zoo.inference import export_predictor
from zoo.inference.predictor import Predictor
from zoo.inference.stream_model import Live
from zoo.models.weights.kinds import is_converted, is_published, unconverted
from zoo.runs.open_run import check_predicts
from zoo.serving import saved_model
from zoo.serving.description import read_description
from zoo.utils.backends import BACKENDS, use_backend
from zoo.utils.text import printable


def is_continuous(place: Path, exported: bool) -> bool:
    """Say whether the folder of a run, an export or a published head rates frames, without loading its models.

    Raises UserError for a run that cannot predict.
    """
    if exported:
        return read_description(place)["task"] == "continuous"
    if is_converted(place):
        return False
    settings = saved.load(place / "config.json")
    check_predicts(settings, place)
    return registry.get(settings.model).task == "continuous"


def open_predictor(
    place: str | Path,
    exported: bool,
    fold: str | None = None,
    max_seconds: float | None = None,
    postprocessed: bool = False,
    runtime: str = "auto",
) -> Predictor:
    """Load the models of a run's folder, of an export's, or of published weights with a head.

    `runtime` is for exports (zoo.serving.saved_model.load), the other options are for runs; `max_seconds` for heads
    too.
    """
    if exported:
        return export_predictor.of_export(saved_model.load(place, runtime))
    if is_converted(Path(place)):
        from zoo.inference import published_head

        return published_head.of_weights(Path(place), max_seconds)
    from zoo.inference.run_predictor import of_run  # imports Keras, which exports do without

    return of_run(Path(place), fold, max_seconds, postprocessed)


def open_live(place: Path, fold: str | None = None) -> Live:
    """Load a run, or published weights with a head of classes, for streaming. Raises UserError where there is none."""
    if is_converted(place):
        from zoo.inference import published_head

        return published_head.live(place)
    from zoo.inference.stream_run import of_run

    return of_run(place, fold)


def begin_weights(place: Path, of_runs: str, runtime: str = "auto", backend: str | None = None) -> bool:
    """Return whether `place` holds published weights; if so, choose their Keras backend and say what is to be known.

    Raises UserError for options that they do not have, `of_runs` and a `runtime`, and for weights not yet converted.
    """
    if is_published(place):
        raise unconverted(place)
    if not is_converted(place):
        return False
    for given, theirs in ((of_runs, "runs"), ("--runtime" if runtime != "auto" else "", "exports")):
        if given:
            raise UserError(f"{given}: for {theirs}, and {place} holds published weights; leave it out")
    use_backend(backend or os.environ.get("KERAS_BACKEND", BACKENDS[0]))
    from zoo.inference import published_head

    for notice in published_head.notices(place):
        print(printable(notice), file=sys.stderr)
    return True
