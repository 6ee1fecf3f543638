"""Open the folder of a run or of an export for prediction."""

from pathlib import Path

from zoo import registry
from zoo.config import saved
from zoo.inference import export_predictor
from zoo.inference.predictor import Predictor
from zoo.runs.open_run import check_predicts
from zoo.serving import saved_model
from zoo.serving.description import read_description


def is_continuous(place: Path, exported: bool) -> bool:
    """Say whether the folder of a run or an export rates frames, without loading its models.

    Raises UserError for a run that cannot predict.
    """
    if exported:
        return read_description(place)["task"] == "continuous"
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
    """Load the models of a run's folder, or of an export's.

    `runtime` is for exports (zoo.serving.saved_model.load), the other options are for runs.
    """
    if exported:
        return export_predictor.of_export(saved_model.load(place, runtime))
    from zoo.inference.run_predictor import of_run  # imports Keras, which exports do without

    return of_run(Path(place), fold, max_seconds, postprocessed)
