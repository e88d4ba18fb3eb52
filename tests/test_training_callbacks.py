"""The callbacks of a training, each with a model of one weight."""

import itertools
import os
import signal

import keras
import numpy as np
import pytest
import tensorflow as tf

from pg_tf.training import SMALL, Run
from pg_tf.training.callbacks import Annealing, BestModel, EarlyStopping, StopWhereNotFinite
from pg_tf.training.checkpoints import Checkpoints, Progress

X, Y = np.ones((4, 1), np.float32), np.ones((4, 1), np.float32)


def model(learning_rate=0.1):
    inputs = keras.Input((1,))
    result = keras.Model(inputs, keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")(inputs))
    mae = keras.metrics.MeanAbsoluteError("mae")
    result.compile(keras.optimizers.SGD(learning_rate), "mse", metrics=[mae], jit_compile=False)
    result.optimizer.build(result.trainable_variables)
    return result, [result.metrics[0], mae]


def batches():
    return tf.data.Dataset.from_tensors((X, Y)).repeat()


def fit(fitted, callbacks, epochs=1, steps=4, first=0):
    fitted.fit(
        batches(), initial_epoch=first, epochs=epochs, steps_per_epoch=steps, verbose=0, callbacks=list(callbacks)
    )


def progress_of(*losses):
    progress = Progress()
    progress.history = [{"loss": loss} for loss in losses]
    progress.epoch = len(losses)
    return progress


def test_annealing_rises_then_falls_to_zero():
    annealing = Annealing(0.1, total_steps=100, max_seconds=60, warmup=0.1)
    rates = [annealing.rate(progress) for progress in np.linspace(0, 1, 201)]
    assert rates[0] == 0
    assert max(rates) == pytest.approx(0.1) == annealing.rate(0.1)
    assert all(a < b for a, b in itertools.pairwise(rates[:21]))
    assert all(a > b for a, b in itertools.pairwise(rates[20:]))
    assert rates[-1] == pytest.approx(0, abs=1e-12)


def test_training_ends_annealed_when_its_time_is_up():
    fitted, _ = model()
    # So many steps would take days.
    fit(fitted, [Annealing(0.1, total_steps=10**9, max_seconds=0.5)], steps=10**9)
    assert float(fitted.optimizer.learning_rate) < 1e-3


def test_annealing_counts_the_time_and_steps_of_earlier_processes():
    for options in ({"seconds_done": 100.0}, {"steps_done": 100}):
        fitted, _ = model()
        fit(fitted, [Annealing(0.1, total_steps=100, max_seconds=100, **options)], steps=50)
        assert int(fitted.optimizer.iterations) == 1


def test_early_stopping_counts_the_epochs_of_earlier_processes():
    # The loss of this model never falls: its learning rate is 0.
    for losses, epochs in ((0.5, 0.6, 0.7), 1), ((0.6, 0.7, 0.5), 3), ((), 4):
        fitted, _ = model(learning_rate=0.0)
        progress = progress_of(*losses)
        history = keras.callbacks.History()
        fit(fitted, [EarlyStopping("loss", 3, progress), history], epochs=9, first=progress.epoch)
        assert len(history.epoch) == epochs, losses


def test_best_model_stays_whole_and_best(tmp_path):
    run = Run(tmp_path)
    (tmp_path / "best.keras.1.part.keras").write_bytes(b"cut off by a kill")
    run.begin(SMALL, {"train": 4})
    fitted, _ = model()
    fit(fitted, [BestModel(run, "loss", best=0.0)])
    assert not run.model_path.exists()  # no better than an earlier process
    fit(fitted, [BestModel(run, "loss")], epochs=2)
    for loaded in (run.model(), keras.saving.load_model(run.model_path)):
        np.testing.assert_array_equal(loaded.get_weights()[0], fitted.get_weights()[0])
    assert sorted(os.listdir(tmp_path)) == ["best.keras", "config.json", "data.json"]


@pytest.mark.parametrize(
    ("values", "saved"), [((3, 2, 4, 1), "ssks"), ((3, 3, np.nan, 2), "skks"), ((np.nan, 5), "ss")]
)
def test_a_model_is_saved_where_it_is_better_than_all_before(tmp_path, values, saved):
    run = Run(tmp_path)
    run.begin(SMALL, {"train": 4})
    best = BestModel(run, "val_loss")
    best.set_model(model()[0])
    for value, letter in zip(values, saved, strict=True):
        run.model_path.unlink(missing_ok=True)
        best.on_epoch_end(0, {"val_loss": float(value)})
        assert run.model_path.exists() == (letter == "s")


def test_a_full_disk_leaves_the_best_model_before_and_names_its_file(tmp_path):
    run = Run(tmp_path)
    run.begin(SMALL, {"train": 4})
    fitted, _ = model()
    run.save_model(fitted)
    before = run.model_path.read_bytes()
    (tmp_path / f"best.keras.{os.getpid()}.part.keras").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as caught:
        run.save_model(fitted)
    assert caught.value.filename == str(run.model_path)
    assert run.model_path.read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["best.keras", "config.json", "data.json"]


def test_loss_that_is_not_finite_names_epoch_and_step():
    fitted, _ = model(learning_rate=1e30)
    progress = progress_of(1.0, 2.0)
    with pytest.raises(FloatingPointError, match=r"the loss is (inf|nan) at step 1 of epoch 3"):
        fit(fitted, [StopWhereNotFinite(progress)])


def test_weights_that_are_not_finite_are_never_saved(tmp_path):
    fitted, metrics = model()
    checkpoints = Checkpoints(tmp_path, fitted, metrics, steps_per_epoch=4, every_steps=1)
    fitted.set_weights([np.full((1, 1), np.nan, np.float32)])
    with pytest.raises(FloatingPointError, match="is not finite after step 1 of epoch 1"):
        fit(fitted, [checkpoints])
    assert not list(tmp_path.glob("ckpt*"))


def test_sigterm_saves_and_ends(tmp_path):
    class Terminate(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 2:
                os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    fitted, metrics = model()
    with pytest.raises(SystemExit) as exit:
        fit(fitted, [Terminate(), Checkpoints(tmp_path, fitted, metrics, steps_per_epoch=9)], steps=9)
    signal.signal(signal.SIGTERM, before)
    assert exit.value.code == 128 + signal.SIGTERM
    again, metrics = model()
    checkpoints = Checkpoints(tmp_path, again, metrics, steps_per_epoch=9)
    assert checkpoints.restore()
    assert checkpoints.progress.step == 3
    np.testing.assert_array_equal(again.get_weights()[0], fitted.get_weights()[0])


def test_checkpoints_that_cannot_be_read_are_an_error(tmp_path):
    fitted, metrics = model()
    fit(fitted, [Checkpoints(tmp_path, fitted, metrics, steps_per_epoch=4)])
    for path in tmp_path.glob("ckpt*.data*"):
        path.write_bytes(b"")
    with pytest.warns(UserWarning, match="cannot be used"), pytest.raises(ValueError, match="no checkpoint of the run"):
        Checkpoints(tmp_path, fitted, metrics, steps_per_epoch=4).restore()
    assert not Checkpoints(tmp_path / "none", fitted, metrics, steps_per_epoch=4).restore()


def test_the_last_two_checkpoints_stay_and_nothing_of_one_that_a_kill_cut_off(tmp_path):
    fitted, metrics = model()
    folder = tmp_path / "checkpoints"
    fit(fitted, [Checkpoints(folder, fitted, metrics, steps_per_epoch=4, every_steps=1)])
    assert sorted(path.stem for path in folder.glob("*.index")) == ["ckpt-3", "ckpt-4"]
    (folder / "ckpt-5_temp").mkdir()
    (folder / "ckpt-5_temp" / "part-00000-of-00001.data-00000-of-00001.tempstate1").write_bytes(b"cut off")
    (folder / "ckpt-2.data-00000-of-00001").write_bytes(b"its index is removed")
    checkpoints = Checkpoints(folder, fitted, metrics, steps_per_epoch=4)
    assert checkpoints.restore()
    fit(fitted, [checkpoints])
    names = [f"ckpt-{number}.{end}" for number in (4, 5) for end in ("data-00000-of-00001", "index")]
    assert sorted(os.listdir(folder)) == ["checkpoint", *names]
