"""Train on the project's labels in a process of its own, which the page follows, cancels and resumes.

Each training has a folder, training/NUMBER: table.csv (the labels as they were), job.json, log.txt and run/, which is a
run of `ser train` like any other. What was begun goes on after a restart of the server, or of the computer.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.data.labels import now
from zoo.errors import UserError, unknown
from zoo.learning.labelling import commands
from zoo.utils import extras
from zoo.utils.atomic_files import read_csv, write_csv, write_json
from zoo.utils.json_files import read_json
from zoo.utils.portable import is_running, lock
from zoo.web import labels as labelled
from zoo.web.frontend_flags import of_model
from zoo.web.models import Models
from zoo.web.project import Project

FINE_TUNE, SVM = "fine-tune", "egemaps_svm"
METHODS = {
    FINE_TUNE: "Train the upper layers of {base} further",
    SVM: "Support vector machine on 88 features of the voice (openSMILE, for research)",
    "fcn": "Small convolutional network, from nothing",
}
LEAST_GROUPS, MOST_FOLDS = 3, 5  # to train, validate and test; as zoo.data.protocols.from_table has it
MOST_EPOCHS = 500
_JOB = {"method": str, "epochs": int, "command": [str], "pid": int, "cancelled": bool, "tested": str, "notes": [str]}
_JOB |= {"folds": int, "clips": int, "started": str, "before": str}
_LAST_BYTES = 4_096  # of a log
TRAIN = [sys.executable, "-m", "zoo.commands.ser", "train"]


def methods(base: str = "") -> dict[str, str]:
    """Return the ways to train that this installation has, with what they are; `base` names the model to begin with."""
    known = {name: text for name, text in METHODS.items() if name != SVM or not extras.absent("opensmile")}
    return {name: text.format(base=base) for name, text in known.items()}


class Trainings:
    """The trainings of a project, one at a time."""

    def __init__(self, project: Project, models: Models):
        self._project, self._models, self._lock = project, models, threading.Lock()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def every(self) -> list[dict[str, Any]]:
        """Return all trainings, the newest first."""
        numbers = [path.name for path in self._project.training.iterdir() if (path / "job.json").is_file()]
        return [self.one(name) for name in sorted(numbers, key=lambda name: -int(name) if name.isdigit() else 0)]

    def one(self, number: str) -> dict[str, Any]:
        """Return what is known of a training, its state and progress (0..1). Raises UserError where there is none."""
        folder = self.folder(number)
        job, state = self._job(number), self._state(number)
        curves = _curves(folder / "run", of_epochs=job["method"] != SVM)
        done = sum(min(1.0, len(c["validation_ua"]) / job["epochs"]) if not c["finished"] else 1 for c in curves)
        shown = {name: job[name] for name in ("method", "epochs", "clips", "started", "tested", "notes", "before")}
        progress = 1.0 if state == "done" else round(done / job["folds"], 3)
        error = _last_error(folder / "log.txt") if state == "failed" else ""
        rest = {"folds": job["folds"], "curves": curves, "error": error, "in_use": self._models.training == number}
        return {"number": number, "state": state, "progress": progress, **shown, **rest}

    def folder(self, number: str) -> Path:
        """Return a training's folder. Raises UserError for a number that there is not."""
        known = {path.name: path for path in self._project.training.iterdir() if (path / "job.json").is_file()}
        if number not in known:
            raise unknown("training", number, known)
        return known[number]

    def start(self, method: str, epochs: int) -> str:
        """Begin a training on the labels that people gave; return its number. Raises UserError where it cannot be."""
        if method not in methods():
            raise unknown("method", method, methods())
        if not 1 <= epochs <= MOST_EPOCHS:
            raise UserError(f"Epochs: expected 1 to {MOST_EPOCHS}, found {epochs}")
        with self._lock:
            if self._active():
                raise UserError("A training is at work. Wait for it, or cancel it first")
            rows, plan = table(self._project)
            taken = [int(path.name) for path in self._project.training.iterdir() if path.name.isdigit()]
            number = str(max(taken, default=0) + 1)
            folder = self._project.training / number
            write_csv(folder / "table.csv", rows)
            command = [*_flags(self._models, method, epochs), *_of_plan(method, plan)]
            command += ["--corpus", "table", "--data-root", str(folder / "table.csv"), "--resume"]
            command += ["--audio-root", str(self._project.folder), "--out", str(folder / "run")]
            facts = {"method": method, "epochs": epochs if method != SVM else 1, "command": command}
            facts |= {"pid": 0, "cancelled": False, "started": now(), **plan}
            facts |= {"before": self._models.describe()["base"]}
            write_json(folder / "job.json", {k: facts[k] for k in _JOB})
            self._run(number)
        return number

    def cancel(self, number: str) -> None:
        """End a training; what it has finished is kept."""
        with self._lock:
            job = self._job(number)
            if self._state(number) != "running":
                raise UserError("This training is not at work")
            write_json(self.folder(number) / "job.json", {**job, "cancelled": True})
            _interrupt(job["pid"])
            if process := self._processes.get(number):
                _end(process)

    def resume(self, number: str) -> None:
        """Go on with a training that was cancelled or interrupted."""
        with self._lock:
            if self._active():
                raise UserError("A training is at work. Wait for it, or cancel it first")
            if self._state(number) == "done":
                raise UserError("This training is finished")
            self._run(number)

    def close(self) -> None:
        """Interrupt what is at work, as the server ends; it can be resumed."""
        for process in self._processes.values():
            if process.poll() is None:
                _interrupt(process.pid)
                _end(process)

    def _run(self, number: str) -> None:
        folder, job = self.folder(number), self._job(number)
        with (folder / "log.txt").open("ab") as log:
            words = [*TRAIN, *job["command"]]
            environment = {**os.environ, "COLUMNS": "120"}
            process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
            )
        self._processes[number] = process
        write_json(folder / "job.json", {**job, "pid": process.pid, "cancelled": False})

    def _job(self, number: str) -> dict[str, Any]:
        return read_json(self.folder(number) / "job.json", "a training of ser web", _JOB, "Delete its folder")

    def _active(self) -> bool:
        return any(one["state"] == "running" for one in self.every())

    def _state(self, number: str) -> str:
        """Return running, done, cancelled, failed or interrupted."""
        folder, job = self.folder(number), self._job(number)
        process = self._processes.get(number)
        if process.poll() is None if process else _is_locked(folder / "run", job["pid"]):
            return "running"
        if (folder / "run" / "metrics.json").is_file():
            return "done"
        if job["cancelled"]:
            return "cancelled"
        return "failed" if _last_error(folder / "log.txt") else "interrupted"


def table(project: Project) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the labels as a table for training, and the plan: how it is tested, on how many folds, and notes.

    "tested" is "speakers", "recordings" or "" where nothing can be held back. Classes that cannot be on all three
    sides are left out, and a note says so. Raises UserError for labels that no training can begin with.
    """
    recordings = {labelled.name_of(one.file): one for one in project.recordings()[0]}
    rows = [row for row in commands.table(labelled.read(project)) if row["file"] in recordings and row["emotion"]]
    speakers = {row["file"]: recordings[row["file"]].speaker for row in rows}
    by_speaker = all(speakers.values()) and len(set(speakers.values())) >= LEAST_GROUPS
    groups = speakers if by_speaker else {file: file for file in speakers}
    tested = "speakers" if by_speaker else "recordings" if len(set(groups.values())) >= LEAST_GROUPS else ""
    kept, notes = _enough(rows, groups, LEAST_GROUPS if tested else 1)
    if len({row["emotion"] for row in kept}) < 2:
        needed = f", each in {LEAST_GROUPS} {tested} or more" if tested else ""
        expected = f"Expected labels of at least two classes{needed}, found too few"
        raise UserError(f"{expected}. Label more segments first. {' '.join(notes)}".rstrip())
    columns = ("file", "start", "end", "channel", "emotion", "source")
    named = [{name: row[name] for name in columns} for row in kept]
    if by_speaker:
        named = [{**row, "speaker": speakers[row["file"]]} for row in named]
    n_folds = min(MOST_FOLDS, len({groups[row["file"]] for row in kept})) if tested else 1
    return named, {"tested": tested, "folds": n_folds, "clips": len(named), "notes": notes}


def _enough(rows: list[dict], groups: Mapping[str, str], least: int) -> tuple[list[dict], list[str]]:
    """Keep the rows of classes that occur in `least` groups or more; return them, and a sentence per class left out."""
    having: dict[str, set[str]] = {}
    for row in rows:
        having.setdefault(row["emotion"], set()).add(groups[row["file"]])
    few = sorted(label for label, found in having.items() if len(found) < least)
    notes = [f"{label} is left out: it is labelled in {len(having[label])} of the {least} needed." for label in few]
    return [row for row in rows if row["emotion"] not in few], notes


def _flags(models: Models, method: str, epochs: int) -> list[str]:
    if method == FINE_TUNE:
        model, flags = of_model(models.base)
        return ["--model", model, *flags, "--init-from", str(models.base.place), "--fine-tune", "top", *_epochs(epochs)]
    return ["--model", method, *(_epochs(epochs) if method != SVM else [])]


def _epochs(epochs: int) -> list[str]:
    return ["--epochs", str(epochs)]


def _of_plan(method: str, plan: Mapping[str, Any]) -> list[str]:
    if plan["tested"]:
        return []
    return ["--fold", "final", *(["--complexities", "0.001"] if method == SVM else ["--keep", "last"])]


def _curves(run: Path, of_epochs: bool) -> list[dict[str, Any]]:
    """Return for each fold that has begun its validation UA by epoch (0..1), if any, and whether it is finished."""
    curves = []
    for folder in sorted(run.glob("fold-*")):
        path = folder / "history.csv"
        rows = read_csv(path) if of_epochs and path.is_file() else []
        scores = [float(row["validation_ua"]) for row in rows if row.get("validation_ua")]
        curves.append({"validation_ua": scores, "finished": (folder / "metrics.json").is_file()})
    return curves


def _is_locked(run: Path, pid: int) -> bool:
    """Say whether a process begun by an earlier server is at work on a run."""
    if not is_running(pid) or not (run / ".lock").exists():
        return False
    try:
        lock(run / ".lock").release()
    except BlockingIOError:
        return True
    return False


def _interrupt(pid: int) -> None:
    """Press Ctrl-C for a training and what it started, which ends it with what is finished kept."""
    try:
        os.killpg(pid, signal.SIGINT)
    except ProcessLookupError:
        return


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _last_error(log: Path) -> str:
    """Return the last message of a log that begins "error:", without that word."""
    if not log.is_file():
        return ""
    lines = log.read_bytes()[-_LAST_BYTES:].decode(errors="replace").splitlines()
    found = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return found[-1] if found else ("" if not lines or "interrupted" in lines[-1] else lines[-1])
