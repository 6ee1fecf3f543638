"""The label delay that a corpus check prints: put in by construction, of training recordings only, or none at all."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from zoo.data.corpora.check_delay import label_delay
from zoo.data.protocols import lookup as protocols
from zoo.data.schema import Clip, Trace

RATE_HZ = 16_000
STEP_SECONDS = 0.04
PROTOCOL = protocols.get("recola-nested", "recola")


def recording(folder, name, delay_seconds=2.8, seconds=24.0, start_seconds=0.0):
    """Bursts of noise, and arousal that follows each of them after a while. Valence does not depend on the sound."""
    rng = np.random.default_rng(list(name.encode()))
    steps = round(seconds / STEP_SECONDS)
    loud = np.repeat(rng.random(steps // 25 + 1) < 0.5, 25)[:steps].astype(float)
    waveform = np.repeat(0.01 + loud, round(STEP_SECONDS * RATE_HZ)) * 0.1
    waveform *= rng.standard_normal(len(waveform)).clip(-3, 3)
    soundfile.write(folder / f"{name}.wav", waveform, RATE_HZ)
    lag = round(delay_seconds / STEP_SECONDS)
    arousal = np.concatenate([np.full(lag, loud.mean()), loud])[:steps]
    first = round(start_seconds / STEP_SECONDS)
    values = np.stack([arousal, np.cumsum(rng.standard_normal(steps))], axis=1).astype(np.float32)
    values = values[first:] if first >= 0 else np.concatenate([np.zeros((-first, 2), np.float32), values])
    trace = Trace(("arousal", "valence"), values, STEP_SECONDS, start_seconds)
    return Clip(folder / f"{name}.wav", name, name, "", {"part": name.split("_")[0]}, trace)


def several(folder, part="train", n=6, **facts):
    return [recording(folder, f"{part}_{number}", **facts) for number in range(1, n + 1)]


def delay_of(train, **options):
    """The delay from `train` and three recordings to validate and test on, without sound."""
    trace = Trace(("arousal", "valence"), np.zeros((600, 2), np.float32), STEP_SECONDS)
    dev = [Clip(Path(name), name, name, "", {"part": "dev"}, trace) for name in ("dev_1", "dev_2", "dev_3")]
    return label_delay(PROTOCOL, [*dev, *train], **options)


def test_the_delay_that_was_put_in_and_none_where_there_is_none(tmp_path):
    seen, clips, lag, pearson = [], several(tmp_path), 70, []
    for clip in clips:
        energy_db = 10 * np.log10(np.mean(soundfile.read(clip.path)[0].reshape(-1, 640) ** 2, axis=1) + 1e-10)
        pearson.append(np.corrcoef(energy_db[:-lag], clip.trace.values[lag:, 0])[0, 1])
    found = delay_of(clips, on_clip=seen.append)
    assert found.protocol == "recola-nested" and found.reason == "" and seen == [1, 2, 3, 4, 5, 6]
    assert found.recordings == [f"train_{number}" for number in range(1, 7)]
    arousal, valence = found.lags["arousal"], found.lags["valence"]
    assert arousal.correlates and found.seconds == arousal.seconds == pytest.approx(2.8)
    assert arousal.correlation == pytest.approx(np.mean(np.abs(pearson)), abs=1e-6)
    assert arousal.correlation > 0.95 > 0.6 > arousal.by_chance
    assert not valence.correlates and valence.correlation <= valence.by_chance


def test_only_recordings_that_no_fold_validates_or_tests_on_are_read(tmp_path):
    train, dev = several(tmp_path), several(tmp_path, "dev", delay_seconds=6.0)
    found = label_delay(PROTOCOL, [*dev, *train])
    assert found == delay_of(train) and found.seconds == pytest.approx(2.8)  # where dev cannot even be opened
    by_turns = label_delay(protocols.get("recola-kfold-10", "recola"), [*dev, *train])
    assert by_turns.recordings == [] and by_turns.seconds is None, "there each of train validates once"


@pytest.mark.parametrize("start_seconds", [0.6, -0.6])
def test_ratings_that_begin_elsewhere_than_the_sound_are_set_in_time(tmp_path, start_seconds):
    assert delay_of(several(tmp_path, start_seconds=start_seconds)).seconds == pytest.approx(2.8)


def test_too_few_or_too_short_recordings_say_so(tmp_path):
    few = delay_of(several(tmp_path, n=4))
    short = delay_of(several(tmp_path, seconds=19.9))
    unreadable = several(tmp_path)
    for clip in unreadable[:2]:
        clip.path.write_bytes(b"")
    for found, n in ((few, 4), (short, 0), (delay_of(unreadable), 4), (delay_of([]), 0)):
        assert found.lags == {} and found.seconds is None
        assert f"expected 5 training recordings or more of 20 s or more, found {n}" in found.reason
