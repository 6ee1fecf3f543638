"""Write a run whose networks are adapted to recordings of one's own speaker, without labels."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.adaptation.methods import Plan
from zoo.adaptation.network import ADAPT, open_network
from zoo.adaptation.speakers import check_network
from zoo.config.run_config import RunConfig
from zoo.data.audio.recording import BadClip
from zoo.errors import UserError
from zoo.features import from_config
from zoo.heads import column_names, heads_of
from zoo.inference import places
from zoo.inference.predictor import read_each
from zoo.inference.run_predictor import CLIP_SECONDS
from zoo.runs.folder import read_record
from zoo.runs.open_run import open_run
from zoo.utils.atomic_files import write_json, written_aside


def save(run: Path, plan: Plan, recordings: Sequence[str], out: Path) -> int:
    """Adapt every fold's network of a run to the speaker of `recordings`, and write the run to `out`, a new folder.

    Returns how many recordings were used. Files are config.json, metrics.json (the figures are those of the run before
    it was adapted, which a warning there says) and each fold's model.keras; a confidence fitted to the run is not
    taken over, as it holds for strangers.

    Raises UserError for a folder that is there already, a run that cannot be adapted and recordings that cannot be
    used.
    """
    if out.exists():
        raise UserError(f"--save {out}: is there already; give a new folder")
    opened = open_run(run)
    check_network(opened)
    features = _features(opened.settings, recordings)
    heads = heads_of(opened.settings, opened.protocol.classes)
    said = f"adapted to {len(features)} recordings of one speaker by {plan.name}; figures are those of the run before"
    for folder in opened.fold_folders:
        fold = open_network(folder / "model.keras", column_names(heads), len(opened.protocol.classes))
        fold = ADAPT[plan.network](fold, features, plan.network_strength)
        with written_aside(out / folder.name / "model.keras") as aside:
            fold.model().save(aside)
        _write_record(out / folder.name, read_record(folder), said)
    write_json(out / "config.json", opened.settings.saved())
    _write_record(out, opened.record, said)
    return len(features)


def _write_record(folder: Path, record: Mapping[str, Any], said: str) -> None:
    write_json(folder / "metrics.json", {**record, "warnings": [*record.get("warnings", ()), said]})


def _features(settings: RunConfig, recordings: Sequence[str]) -> list[np.ndarray]:
    """Return the features of recordings. Raises UserError for one that cannot be used."""
    extractor = from_config.extractor(settings)
    with places.found(recordings) as found:
        if found.failed:
            raise UserError(f"--speaker: {found.failed[0].error}")
        read = list(read_each(found.files, extractor.rate_hz, extractor.least_seconds, CLIP_SECONDS))
    for waveform in read:
        if isinstance(waveform, BadClip):
            raise waveform
    return [extractor.features(waveform) for waveform in read if not isinstance(waveform, BadClip)]
