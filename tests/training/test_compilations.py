"""JAX compiles a training step once for each length that batches are padded to, whatever the epoch."""

import keras
import numpy as np
import pytest

from zoo import registry
from zoo.config.flags import from_flags
from zoo.data.batches.clips import Example, training_batches
from zoo.data.batches.feature_store import InMemory
from zoo.frontends.compose import with_normalization
from zoo.training import fit as fitting
from zoo.utils.progress import Progress

pytestmark = pytest.mark.backend
SMALL = {
    "fcn": {"filters": (2, 3), "hidden_units": 2},
    "residual_bigru": {"stem_filters": 2, "filters": (3,), "recurrent_units": 2, "attention_units": 2},
}


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="the others compile for all lengths, or not at all")
@pytest.mark.parametrize("model", SMALL)
def test_each_padded_length_is_compiled_once_for_all_epochs(model, caplog):
    """Clips of 12 and 28 frames in batches of four, padded to 16 and 32; weights are set between the epochs."""
    import jax

    draws = np.random.default_rng(0)
    clips = [InMemory(draws.normal(size=(n, 8)).astype("float32")) for n in (12, 28) for _ in range(8)]
    examples = [Example(clip, index % 3) for index, clip in enumerate(clips)]
    network = with_normalization(np.zeros(8), np.ones(8), registry.build(model, 3, 8, **SMALL[model]))
    config = from_flags({"model": model, "backend": "jax"})
    fitting.compile_model(network, "sparse_categorical_crossentropy", config, 4)
    network.optimizer.build(network.trainable_variables)
    with Progress() as progress, jax.log_compiles(), caplog.at_level("WARNING", "jax"):
        for epoch in (1, 2, 3):
            batches = training_batches(examples, 4, 100, seed=0, epoch=epoch)
            _, latest = fitting._train(network, batches, "epoch", config, progress)
            network.set_weights(latest)
    steps = [line for line in caplog.messages if line.startswith("Compiling jit(train_step)")]
    assert len(steps) == 2
    assert all(f"float32[4,{frames},8]" in "".join(steps) for frames in (16, 32))
