"""The check that every export goes through before it is published, on few requests: Keras traces each length."""

from contextlib import contextmanager

import pytest


@contextmanager
def checked_with(seconds=(0.3,), batch_sizes=(1,)):
    from zoo.export import agreement  # needs TensorFlow

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(agreement, "SECONDS", seconds)
        patch.setattr(agreement, "BATCH_SIZES", batch_sizes)
        yield
