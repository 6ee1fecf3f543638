"""openSMILE's own functionals of a whole recording, in another process: it must not be loaded beside TensorFlow."""

from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context

OPENSMILE = {"egemaps": "eGeMAPSv02", "compare": "ComParE_2016"}


def whole(waveform, feature_set="egemaps"):
    """Returns a data frame (1, features)."""
    return _process().submit(_whole, waveform, feature_set).result()


@cache
def _process():
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"))


def _whole(waveform, feature_set):
    import opensmile

    return opensmile.Smile(opensmile.FeatureSet[OPENSMILE[feature_set]]).process_signal(waveform, 16_000)
