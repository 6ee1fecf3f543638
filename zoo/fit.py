"""Training one fold: epochs, the best of them by validation UA, and a state to go on from after every epoch."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np

from zoo import checkpoint, metrics, registry
from zoo.config import RunConfig
from zoo.data.augment import specaugment
from zoo.data.pipeline import Example, moments, training_batches, whole_batches
from zoo.errors import UserError
from zoo.frontends import LogMel, with_frontend, with_normalization
from zoo.progress import Progress
from zoo.storage import write_csv, written_aside

History = list[dict[str, Any]]


@dataclass(frozen=True)
class Task:
    """One fold, ready to train: where its files go, its examples, the names of its classes and its front-end."""

    name: str
    folder: Path
    classes: Sequence[str]
    train: Sequence[Example]
    validation: Sequence[Example]
    frontend: LogMel


def fit(task: Task, config: RunConfig, progress: Progress) -> History:
    """Trains until the last epoch or until patience ends, going on from a saved state if there is one.

    Writes model.keras (waveforms in, the weights of the best epoch) and history.csv; returns the history, a row per
    epoch.
    """
    make_repeatable(config.seed)
    mean, variance = moments(task.train)
    network = registry.build(config.model, len(task.classes), config.bands, **{"seed": config.seed, **config.option})
    model = with_normalization(mean, variance, network)
    compile_model(model, config, steps_per_epoch=-(-len(task.train) // config.batch_size))
    model.optimizer.build(model.trainable_variables)
    augment = partial(specaugment, fill=mean.astype(np.float32)) if config.augment == "specaugment" else None

    history, best = checkpoint.restore(task.folder, model) or ([], [])
    while not finished(history, config):
        history.append(_epoch(model, task, config, len(history) + 1, augment, progress))
        if best_epoch(history) == len(history):
            best = model.get_weights()
        checkpoint.save(task.folder, model, history, best)
        write_csv(task.folder / "history.csv", history)
    write_csv(task.folder / "history.csv", history)  # a kill may have come between the last state and this
    model.set_weights(best)
    with written_aside(task.folder / "model.keras") as aside:
        with_frontend(task.frontend, model).save(aside)
    return history


def make_repeatable(seed: int) -> None:
    """Seeds everything, and on TensorFlow chooses deterministic kernels. Bits still change with the thread count."""
    keras.utils.set_random_seed(seed)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


def compile_model(model: keras.Model, config: RunConfig, steps_per_epoch: int) -> None:
    """Compiles a classifier for training as the configuration says."""
    if config.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(config.learning_rate, steps_per_epoch * config.epochs)
    else:
        rate = keras.optimizers.schedules.InverseTimeDecay(config.learning_rate, 1, config.decay)
    optimizer = keras.optimizers.Adam(rate, weight_decay=config.weight_decay or None)
    # XLA made these networks' step four times slower on TensorFlow's CPU, and is JAX's only fast way.
    jit = keras.backend.backend() == "jax"
    model.compile(optimizer, loss="sparse_categorical_crossentropy", jit_compile=jit)


def best_epoch(history: History) -> int:
    """Returns the number (from 1) of the first epoch with the highest validation UA."""
    return 1 + int(np.argmax([row["validation_ua"] for row in history]))


def finished(history: History, config: RunConfig) -> bool:
    """Says whether the last epoch is done, or patience has ended."""
    if not history:
        return False
    return len(history) >= config.epochs or len(history) - best_epoch(history) >= config.patience


def _epoch(model, task: Task, config: RunConfig, epoch: int, augment, progress: Progress) -> dict[str, Any]:
    crop_frames = task.frontend.n_frames(round(config.crop_seconds * task.frontend.rate_hz))
    batches = training_batches(
        task.train, config.batch_size, crop_frames, seed=config.seed, epoch=epoch, augment=augment
    )
    start = time.perf_counter()
    with progress.task(f"fold {task.name}, epoch {epoch}/{config.epochs}", len(batches)) as advance:
        step = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: advance(batch + 1))
        logs = model.fit(batches, epochs=1, shuffle=False, verbose=0, callbacks=[step]).history
    seconds = time.perf_counter() - start
    loss = float(logs["loss"][0])
    if not math.isfinite(loss):
        raise UserError(
            f"fold {task.name}: the training loss is {loss} in epoch {epoch}. Try a lower --learning-rate than "
            f"{config.learning_rate}, or --precision float32"
        )
    row = {"epoch": epoch, "loss": loss, **_validate(model, task), "seconds": seconds}
    row["learning_rate"] = float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))
    progress.line(
        f"fold {task.name} epoch {epoch:3d}  loss {loss:.3f}  validation loss {row['validation_loss']:.3f}  "
        f"UA {100 * row['validation_ua']:.1f} %  {seconds:.1f} s"
    )
    return row


def _validate(model, task: Task) -> dict[str, float]:
    truth = np.array([example.label for example in task.validation])
    output = np.asarray(model.predict(whole_batches(task.validation), verbose=0), np.float64)
    confusion = metrics.confusion_matrix(truth, output.argmax(axis=-1), len(task.classes))
    likelihood = np.maximum(output[np.arange(len(truth)), truth], 1e-12)
    return {
        "validation_loss": float(-np.log(likelihood).mean()),
        "validation_ua": float(metrics.unweighted_accuracy(confusion)),
        "validation_wa": float(metrics.weighted_accuracy(confusion)),
    }
