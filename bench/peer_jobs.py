"""Write the same clips and split as files of configuration for nkululeko and autrainer, and read their scores."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from zoo.data.schema import Clip, Fold
from zoo.errors import UserError
from zoo.utils.atomic_files import read_csv, write_csv

# Neither is chosen on test clips: 0.001 is nkululeko's own default, which fits ComParE's 6,373 features.
COMPLEXITY = {"eGeMAPSv02": 0.1, "ComParE_2016": 0.001}
BATCH = 16
FRAMES = 500  # 5 s at a hop of 10 ms, as attention_fcn's crops
_UAR = re.compile(r"\bUAR: *(\d*\.\d+)")


def write_nkululeko(fold: Fold, folder: Path, feature_set: str) -> list[str]:
    """Write tables and configuration of nkululeko's SVM on functionals of openSMILE; return its arguments.

    Validation clips are left out: it chooses nothing, ours chooses C on them and is fitted on the training clips too.
    """
    for side in ("train", "test"):
        clips: Sequence[Clip] = getattr(fold, side)
        rows = [{"file": str(clip.path), "speaker": clip.speaker, "emotion": clip.label} for clip in clips]
        write_csv(folder / f"{side}.csv", rows)
    labels = sorted({clip.label for clip in fold.train})
    sides = [
        f"{side} = {folder / side}.csv\n{side}.type = csv\n{side}.absolute_path = True\n{side}.split_strategy = {side}"
        for side in ("train", "test")
    ]
    lines = [
        f"[EXP]\nroot = {folder}\nname = job\nruns = 1\nepochs = 1",
        "[DATA]\ndatabases = ['train', 'test']",
        *sides,
        f"target = emotion\nlabels = {labels}",
        f"[FEATS]\ntype = ['os']\nset = {feature_set}\nlevel = functionals\nscale = standard",
        f"[MODEL]\ntype = svm\nkernel = linear\nC_val = {COMPLEXITY[feature_set]}",
    ]
    (folder / "job.ini").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return ["-m", "nkululeko.nkululeko", "--config", str(folder / "job.ini")]


def nkululeko_ua(output: str) -> float:
    """Return the unweighted average recall, 0..1, that nkululeko printed last. Raises UserError without one."""
    found = _UAR.findall(output)
    if not found:
        raise UserError("nkululeko printed no 'UAR: number'; expected one after its fit; is it version 1.14?")
    return float(found[-1])


def write_autrainer(fold: Fold, folder: Path, epochs: int) -> list[list[str]]:
    """Write clips, tables and configuration of autrainer's CNN10 on log-mels; return its commands' arguments.

    The clips are links: autrainer wants them in one folder. Names get the speaker's in front, as names may repeat.
    """
    data, audio = folder / "data", folder / "data" / "default"
    audio.mkdir(parents=True)
    for side, name in (("train", "train"), ("validation", "dev"), ("test", "test")):
        rows = []
        for clip in getattr(fold, side):
            link = audio / f"{clip.speaker}-{clip.path.name}"
            link.symlink_to(clip.path.resolve())
            rows.append({"filename": link.name, "emotion": clip.label})
        write_csv(data / f"{name}.csv", rows)
    for path, content in _autrainer_configuration(epochs).items():
        place = folder / "conf" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(content, indent=1), encoding="utf-8")  # JSON is YAML too
    return [["preprocess"], ["train"]]


def _autrainer_configuration(epochs: int) -> Mapping[str, object]:
    return {
        "config.yaml": {
            "defaults": ["_autrainer_", "_self_"],
            "results_dir": "results",
            "experiment_id": "job",
            "iterations": epochs,
            "device": "cpu",
            "progress_bar": False,
            "hydra": {
                "sweeper": {
                    "params": {
                        "+seed": 1,
                        "+batch_size": BATCH,
                        "+learning_rate": 0.001,
                        "dataset": "clips",
                        "model": "Cnn10",
                        "optimizer": "Adam",
                    }
                }
            },
        },
        "dataset/clips.yaml": {
            "id": "clips",
            "_target_": "autrainer.datasets.BaseClassificationDataset",
            "path": "data",
            "features_subdir": "log_mel_16k",
            "index_column": "filename",
            "target_column": "emotion",
            "file_type": "npy",
            "file_handler": "autrainer.datasets.utils.NumpyFileHandler",
            "criterion": "autrainer.criterions.BalancedCrossEntropyLoss",
            "metrics": ["autrainer.metrics.UAR"],
            "tracking_metric": "autrainer.metrics.UAR",
            "transform": {
                "type": "grayscale",
                "base": [
                    {"autrainer.transforms.Expand": {"size": FRAMES, "axis": -2}},
                    {"autrainer.transforms.RandomCrop": {"size": FRAMES, "axis": -2}},
                ],
            },
        },
    }


def autrainer_ua(folder: Path, test: Sequence[Clip]) -> float:
    """Return the unweighted average recall, 0..1, of the predictions autrainer wrote of the test clips.

    Raises UserError where there is no such file or it holds another number of clips.
    """
    found = sorted((folder / "results" / "job" / "training").glob("*/_test/test_results.csv"))
    if len(found) != 1:
        raise UserError(f"{folder / 'results'}: expected one _test/test_results.csv of autrainer, found {len(found)}")
    rows = read_csv(found[0])
    if len(rows) != len(test):
        raise UserError(f"{found[0]}: expected {len(test)} predictions, a test clip each, found {len(rows)}")
    right = {label: [0, 0] for label in sorted({clip.label for clip in test})}
    for row in rows:
        label = test[int(row["index"])].label
        right[label][0] += row["predictions"] == label
        right[label][1] += 1
    return sum(hits / number for hits, number in right.values()) / len(right)
