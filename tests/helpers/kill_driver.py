"""Runs train.py in processes that kill themselves at chosen moments; test_resume.py starts it.

Standard input has a line of JSON for each: [moment or "never", [flags of train.py], its cache, file of its errors]. The
answer is a line with its exit status. What takes seconds to import is imported once, and each process is a copy.
"""

import json
import os
import runpy
import signal
import sys
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def cut_and_die(path):
    """Leave half of a file, as a kill in the middle of a write does."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    die()


def in_the_middle_of_a_feature_file():
    import numpy as np

    plain, written = np.save, []

    def save(path, array, **options):
        plain(path, array, **options)
        written.append(path)
        if len(written) == 5:
            cut_and_die(path)

    np.save = save


def in_the_middle_of_an_epoch():
    from zoo.utils.progress import Progress

    plain = Progress.task

    @contextmanager
    def task(self, name, total):
        with plain(self, name, total) as advance:
            yield lambda done: die() if "epoch 2/" in name and done == 2 else advance(done)

    Progress.task = task


def in_the_middle_of_a_state():
    import numpy as np

    plain = np.savez

    def savez(file, **arrays):
        plain(file, **arrays)
        file.flush()
        cut_and_die(Path(file.name))

    np.savez = savez


def before_the_history_of(epoch):
    from zoo.training import fit

    plain = fit.write_csv
    fit.write_csv = lambda path, rows: die() if len(rows) == epoch else plain(path, rows)


def after_a_state_before_its_history():
    before_the_history_of(2)


def after_the_last_state_before_its_history():
    before_the_history_of(3)


def in_the_middle_of_a_model():
    import keras

    plain = keras.Model.save
    keras.Model.save = lambda self, path: (plain(self, path), cut_and_die(path))


def in_the_middle_of_a_folds_metrics():
    plain = Path.write_text

    def write_text(self, text, **options):
        plain(self, text, **options)
        if "metrics" in self.name and self.parent.name.startswith("fold-"):
            cut_and_die(self)

    Path.write_text = write_text


def after_a_folds_metrics_before_its_states_go():
    from zoo.training import checkpoint

    checkpoint.remove = lambda folder: die()


def before_the_pooled_results():
    from zoo.training import evaluate

    plain = evaluate.write_results

    def write_results(folder, *results):
        return plain(folder, *results) if folder.name.startswith("fold-") else die()

    evaluate.write_results = write_results


# In the order of a run: each moment lies after the one before, so that one run can be killed at all of them.
MOMENTS = {
    moment.__name__: moment
    for moment in (
        in_the_middle_of_a_feature_file,
        in_the_middle_of_an_epoch,
        in_the_middle_of_a_state,
        after_a_state_before_its_history,
        after_the_last_state_before_its_history,
        in_the_middle_of_a_model,
        in_the_middle_of_a_folds_metrics,
        after_a_folds_metrics_before_its_states_go,
        before_the_pooled_results,
    )
}


def run(moment, flags, cache, errors):
    """Trains in a copy of this process; returns its exit status, below 0 for a signal."""
    copy = os.fork()
    if copy:
        return os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1])
    try:
        log = os.open(errors, os.O_WRONLY | os.O_CREAT)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.environ["SPEECH_ZOO_CACHE"] = cache
        if moment != "never":
            MOMENTS[moment]()
        script = Path(__file__).parents[2] / "scripts" / "train.py"
        sys.argv = [str(script), *flags]
        runpy.run_path(str(script), run_name="__main__")
        status = 0
    except SystemExit as end:
        status = end.code or 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status if isinstance(status, int) else 1)


if __name__ == "__main__":
    from zoo.runs import saved_layers  # noqa: F401  Keras, and TensorFlow, which starts no thread before its first work
    from zoo.training import devices, train  # noqa: F401

    for line in sys.stdin:
        print(run(*json.loads(line)), flush=True)
