"""The check that every export goes through before it is published, on few requests: Keras traces each length."""

from contextlib import contextmanager

import pytest


@contextmanager
def checked_with(seconds=(0.3,), batch_sizes=(1,)):
    from zoo.serving import export_check  # needs TensorFlow

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export_check, "SECONDS", seconds)
        patch.setattr(export_check, "BATCH_SIZES", batch_sizes)
        yield
