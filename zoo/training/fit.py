"""Train the network of one fold: keep the best epoch by the validation score, or the last; save a state after each."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.config.run_config import RunConfig
from zoo.errors import DivergedError
from zoo.frontends.compose import with_frontend
from zoo.runs.model_file import bare
from zoo.training import checkpoint, snapshots, transfer
from zoo.training.layer_rates import with_rates
from zoo.training.tasks import base as tasks
from zoo.training.tasks.base import FoldData, History
from zoo.utils.atomic_files import write_csv, written_aside
from zoo.utils.lazy import lazy
from zoo.utils.progress import Progress

if TYPE_CHECKING:
    import keras

    from zoo.training import devices, encoder_tuning
else:
    keras = lazy("keras")
    devices, encoder_tuning = lazy("zoo.training.devices"), lazy("zoo.training.encoder_tuning")


def fit(
    fold: FoldData,
    config: RunConfig,
    progress: Progress,
    after_epoch: Callable[[], None] = lambda: None,
    task: Any = None,
) -> History:
    """Train until the last epoch or until patience ends, from a saved state if there is one.

    With --init-from the network begins with other weights and may be trained in stages (zoo.training.transfer). Writes
    model.keras (waveforms in, the weights of the epoch to keep, or their moving average) and history.csv; returns the
    history, a row per epoch. With --snapshots the model is the mean of all cycles' networks, and the last row's
    validation figures are that model's. What `after_epoch` raises ends the training, which can be resumed. `task` is
    the network's own by default.
    """
    make_repeatable(config.seed)
    task = task or tasks.of(config.model)
    shared = devices.several(config.devices)
    with shared.scope():
        built, loss, batches, extend = task.fitting(fold, config)
    saved, of_all = shared.network(built), shared.loss(loss)
    if config.init_from:
        saved = transfer.begin(saved, fold, config)
    if config.trains_encoder and config.lora:
        encoder_tuning.add_lora(bare(saved), config)
    with shared.scope():
        extended = extend(saved)
    model = saved if extended is saved else shared.network(extended)
    validate = task.validator(model, fold, config)

    def enter(epoch: int) -> None:
        """Compile the model for the stage of an epoch."""
        with shared.scope():
            stage = snapshots.cycle(transfer.stage(saved, config, epoch))
            shares = encoder_tuning.rates(bare(saved), config) if config.trains_encoder else {}
            _compile_built(model, of_all, stage, len(batches(1)), shares)

    history, best = checkpoint.restore(fold.folder, model, enter) or ([], [])
    shared.begin(model)
    while not finished(history, config, task):
        epoch = len(history) + 1
        if epoch in (1, config.freeze_epochs + 1):
            enter(epoch)
        elif snapshots.begins_cycle(epoch, config):
            snapshots.begin_anew(model.optimizer)
        name = f"fold {fold.name}, epoch {epoch}/{config.epochs}"
        with shared.scope():
            row, latest = _train(model, batches(epoch), name, config, progress)
        seconds = row.pop("seconds")
        row = {"epoch": epoch, **row, **validate(), "seconds": seconds, "learning_rate": _learning_rate(model)}
        progress.line(
            f"fold {fold.name} epoch {epoch:3d}  loss {row['loss']:.3f}  {task.report.epoch_line(row)}  {seconds:.1f} s"
        )
        history.append(row)
        best = _weights_to_keep(model, best, history, config)
        model.set_weights(latest)
        checkpoint.save(fold.folder, model, history, best)
        write_csv(fold.folder / "history.csv", history)
        after_epoch()
    if config.snapshots > 1:
        saved = snapshots.averaged(saved, best)
        history[-1] |= task.validator(saved, fold, config)()
    elif config.keep == "best":
        model.set_weights(best)
    shared.end(model)
    write_csv(fold.folder / "history.csv", history)  # a kill may have come between the last state and this
    if transfer.has_stages(config):
        transfer.unfreeze(saved)  # with an optimizer of some of its variables, Keras would warn wherever it is loaded
    if config.trains_encoder:
        saved = encoder_tuning.finished(saved)
    elif config.init_from or config.devices > 1:
        _compile_built(model, loss, config, len(batches(1)))
    with written_aside(fold.folder / "model.keras") as aside:
        (with_frontend(fold.frontend, saved) if fold.frontend else saved).save(aside)
    return history


def _weights_to_keep(model, before: list[np.ndarray], history: History, config: RunConfig) -> list[np.ndarray]:
    """Return the weights of the best epoch so far, or with --snapshots those of all ended cycles, one after another."""
    if config.snapshots > 1:
        return [*before, *model.get_weights()] if snapshots.begins_cycle(len(history) + 1, config) else before
    is_best = best_epoch(history, tasks.of(config.model).FIGURES.score) == len(history)
    return model.get_weights() if is_best else before


def make_repeatable(seed: int) -> None:
    """Seed everything, and on TensorFlow choose deterministic kernels. Bits still depend on the number of threads."""
    keras.utils.set_random_seed(seed)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


def compile_model(
    model: keras.Model, loss: Any, config: RunConfig, steps_per_epoch: int, shares: Mapping[str, float] | None = None
) -> None:
    """Compile a network with the optimizer and schedule of a configuration.

    Weights in `shares`, by path, are trained at these shares of the learning rate.
    """
    shares = shares or {}
    rate = learning_rates(config, steps_per_epoch * config.epochs)
    options: dict[str, Any] = {"weight_decay": config.weight_decay or None}
    if config.weight_average:
        options |= {"use_ema": True, "ema_momentum": config.weight_average}
    optimizer: keras.optimizers.Optimizer
    if config.optimizer == "adam":
        optimizer = with_rates(keras.optimizers.Adam, shares)(rate, **options)
    elif config.optimizer == "rmsprop":
        optimizer = with_rates(keras.optimizers.RMSprop, shares)(rate, momentum=config.momentum, **options)
    elif config.optimizer == "adagrad":
        optimizer = with_rates(keras.optimizers.Adagrad, shares)(rate, **options)
    else:
        optimizer = with_rates(keras.optimizers.SGD, shares)(rate, momentum=config.momentum, **options)
    # XLA made these networks' step four times slower on TensorFlow's CPU, and is JAX's only fast way.
    jit = keras.backend.backend() == "jax"
    model.compile(optimizer, loss=loss, jit_compile=jit)


def _compile_built(
    model: keras.Model, loss: Any, config: RunConfig, steps_per_epoch: int, shares: Mapping[str, float] | None = None
) -> None:
    compile_model(model, loss, config, steps_per_epoch, shares)
    model.optimizer.build(model.trainable_variables)


def learning_rates(config: RunConfig, n_steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """Return the learning rate of every step of a training of `n_steps`.

    One cycle (Smith 2018) rises linearly from 1/25 of the highest rate; the momentum, which he moves too, stays.
    """
    schedules, highest = keras.optimizers.schedules, config.learning_rate
    if config.schedule == "cosine":
        rising = int(config.warm_up * n_steps)
        options = {"warmup_target": highest, "warmup_steps": rising} if rising else {}
        return schedules.CosineDecay(0.0 if rising else highest, n_steps - rising, **options)
    if config.schedule == "one_cycle":
        rising = int(0.3 * n_steps)
        return schedules.CosineDecay(highest / 25, n_steps - rising, warmup_target=highest, warmup_steps=rising)
    return schedules.InverseTimeDecay(highest, 1, config.decay)


def best_epoch(history: History, score: str) -> int:
    """Return the number (from 1) of the first epoch with the highest `score`, a column of the history.

    It is the last epoch where there are no validation clips and so no such column.
    """
    if score not in history[-1]:
        return len(history)
    return 1 + int(np.argmax([row[score] for row in history]))


def kept_epoch(history: History, score: str, config: RunConfig) -> int:
    """Return the number (from 1) of the epoch whose weights a run of this configuration keeps."""
    return len(history) if config.keep == "last" or config.snapshots > 1 else best_epoch(history, score)


def finished(history: History, config: RunConfig, task: Any = None) -> bool:
    """Say whether the last epoch is done or patience has ended, which begins behind the frozen epochs.

    Snapshots are of whole cycles, whatever the patience.
    """
    if not history or config.snapshots > 1:
        return len(history) >= config.epochs
    best = max(best_epoch(history, (task or tasks.of(config.model)).FIGURES.score), config.freeze_epochs)
    return len(history) >= config.epochs or len(history) - best >= config.patience


def _train(model, batches, name: str, config: RunConfig, progress: Progress) -> tuple[dict[str, Any], list[np.ndarray]]:
    """Train for an epoch; return its mean loss and seconds, and the weights of its last step.

    Where a moving average is taken, Keras leaves that in the model: to be validated, not to go on from.
    """
    start, latest = time.perf_counter(), []
    with progress.task(name, len(batches)) as advance:
        step = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: advance(batch + 1))
        end = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: latest.extend(model.get_weights()))
        logs = model.fit(batches, epochs=1, shuffle=False, verbose=0, callbacks=[step, end]).history
    if config.weight_average:  # on JAX these are the optimizer's own arrays, and to predict with them deletes them
        model.set_weights(model.get_weights())
    loss = float(logs["loss"][0])
    if not math.isfinite(loss):
        raise DivergedError(
            f"{name}: the training loss is {loss}. Try a lower --learning-rate than {config.learning_rate}, or "
            "--precision float32"
        )
    return {"loss": loss, "seconds": time.perf_counter() - start}, latest


def _learning_rate(model) -> float:
    return float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))
