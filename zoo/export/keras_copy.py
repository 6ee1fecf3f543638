"""Put the Keras models of a run beside the graph of an export, to be trained further (zoo.load(NAME).trainable())."""

import json
from collections.abc import Mapping
from pathlib import Path

from zoo.data.audio.scan import file_sha256
from zoo.runs.model_file import load_model, network_of
from zoo.serving.description import DESCRIPTION, KERAS_FOLDER
from zoo.utils.atomic_files import write_json

LARGEST_BYTES = 50 * 2**20  # of all files together; larger ones stay with the run
_WEIGHTS_ELSEWHERE = {"DeepSpectrum": "image network", "SpeechEncoder": "speech encoder"}


def add(version: Path, models: Mapping[str, Path], frontend: str, large: bool = False) -> None:
    """Save the model of each fold, by its name, into assets.extra/ of a fresh export, and describe them.

    The file of a single fold is model.keras, those of several are model-NUMBER.keras. Where there can be none, or
    their files would be larger than `LARGEST_BYTES` and `large` is not wanted, the description says why.
    """
    size = sum(path.stat().st_size for path in models.values())
    why = ""
    if frontend in _WEIGHTS_ELSEWHERE:
        why = f"the weights of its {_WEIGHTS_ELSEWHERE[frontend]} are outside its Keras models"
    elif size > LARGEST_BYTES and not large:
        why = f"its Keras models have {size / 2**20:.0f} MiB, more than {LARGEST_BYTES / 2**20:.0f}"
    place = version / DESCRIPTION
    described = json.loads(place.read_text())
    if why:
        write_json(place, {**described, "without_keras": why})
        return
    numbers = {fold: f"-{fold.split('-')[0]}" if len(models) > 1 else "" for fold in models}
    names = {fold: f"{KERAS_FOLDER}/model{number}.keras" for fold, number in numbers.items()}
    (version / KERAS_FOLDER).mkdir(exist_ok=True)
    for fold, name in names.items():
        model = load_model(models[fold], waveforms=False)
        network = network_of(model)
        network.optimizer, network.compiled = None, False  # its state is three times as large as the network
        model.save(version / name)
    sums = {name: file_sha256(version / name) for name in names.values()}
    write_json(place, {**described, "keras": names, "files": {**described["files"], **sums}})
