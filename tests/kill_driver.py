"""Runs train.py and kills its own process at a chosen moment; test_resume.py starts it.

python kill_driver.py MOMENT [flags of train.py]
"""

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
    """What a kill in the middle of a write leaves: half of the file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    die()


def in_the_middle_of_an_epoch():
    from zoo.progress import Progress

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


def after_a_state_before_its_history():
    from zoo import fit

    plain = fit.write_csv
    fit.write_csv = lambda path, rows: die() if len(rows) == 2 else plain(path, rows)


def in_the_middle_of_a_model():
    import keras

    plain = keras.Model.save
    keras.Model.save = lambda self, path: (plain(self, path), cut_and_die(path))


MOMENTS = {
    moment.__name__: moment
    for moment in (
        in_the_middle_of_an_epoch,
        in_the_middle_of_a_state,
        after_a_state_before_its_history,
        in_the_middle_of_a_model,
    )
}

if __name__ == "__main__":
    moment, *flags = sys.argv[1:]
    if moment != "never":
        MOMENTS[moment]()
    script = Path(__file__).parents[1] / "scripts" / "train.py"
    sys.argv = [str(script), *flags]
    runpy.run_path(str(script), run_name="__main__")
