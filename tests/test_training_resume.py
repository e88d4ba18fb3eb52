"""A training that is killed again and again ends as one that was left alone."""

import csv
import json
import os

import numpy as np
import pytest
import tensorflow as tf
from sdf_files import write_sdf

from pg_tf.datasets import load_sample

pytestmark = pytest.mark.slow

# Trains in children of a process that has TensorFlow loaded but has not used it, and kills them from outside: the
# number of the step at which to kill is drawn, the moment within the step and the checkpoint after it is the
# scheduler's.
PROGRAM = """
import dataclasses, json, os, random, signal, sys, time
import keras
from pg_tf.training import SMALL, train

folder, seed = sys.argv[1], int(sys.argv[2])
config = dataclasses.replace(
    SMALL, data=os.path.join(folder, "molecules.sdf"), label="gap", batch_size=8, epochs=3, patience=3,
    network={"voxels": 32, "blocks": 2, "width": 4, "hidden": 4, "fields": 2, "products": 2, "heads": 1},
    deterministic=True,
)

class Steps(keras.callbacks.Callback):
    def __init__(self, pipe):
        super().__init__()
        self.pipe = pipe
    def on_train_batch_end(self, batch, logs=None):
        os.write(self.pipe, b".")

def attempt(name, kill_at=None, delay=0.0):
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        try:
            train(config, os.path.join(folder, name), checkpoint_steps=1, callbacks=[Steps(write)])
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(1)
    os.close(write)
    steps = 0
    while os.read(read, 1):
        steps += 1
        if steps == kill_at:
            time.sleep(delay)
            os.kill(child, signal.SIGKILL)
    os.close(read)
    status = os.waitpid(child, 0)[1]
    assert status in (0, signal.SIGKILL), status
    return steps, status == 0

result = {"whole": attempt("whole")[0], "killed": []}
draw = random.Random(seed)
for kill_at in (draw.randint(2, 5), draw.randint(3, 8), None):
    steps, finished = attempt("killed", kill_at, draw.random() * 0.05)
    result["killed"].append(steps)
assert finished
print(json.dumps(result))
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory, run_python):
    """The folders of both runs, and the steps that each attempt took."""
    folder = tmp_path_factory.mktemp("runs")
    write_sdf(folder / "molecules.sdf", load_sample("validation")[:50])
    printed = run_python(PROGRAM, folder, "1", TF_ENABLE_ONEDNN_OPTS="1")
    return folder, json.loads(printed.splitlines()[-1])


def weights(run):
    """All variables of the last checkpoint: of the model, of the optimizer and its step counter."""
    reader = tf.train.load_checkpoint(str(run / "checkpoints"))
    names = sorted(name for name in reader.get_variable_to_shape_map() if "VARIABLE_VALUE" in name)
    return {name: reader.get_tensor(name) for name in names if "save_counter" not in name}


def history(run):
    with open(run / "history.csv", newline="") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def test_killed_training_ends_with_the_same_weights(runs):
    folder, _ = runs
    whole, killed = weights(folder / "whole"), weights(folder / "killed")
    assert whole.keys() == killed.keys()
    assert len(whole) > 50
    for name in whole:
        # Deterministic ops, the same molecules, orders and motions: not a bit differs.
        np.testing.assert_array_equal(whole[name], killed[name], err_msg=name)


def test_killed_training_repeats_no_more_than_the_steps_since_the_last_checkpoint(runs):
    _, steps = runs
    attempts = len(steps["killed"])
    # A checkpoint follows each step. The step whose checkpoint the kill cut off is done again; a kill in the validation
    # costs the last step of the epoch.
    assert steps["whole"] <= sum(steps["killed"]) <= steps["whole"] + attempts - 1
    assert steps["killed"][-1] < steps["whole"]


def test_killed_training_logs_each_epoch_once_and_the_same(runs):
    folder, _ = runs
    assert [row["epoch"] for row in history(folder / "killed")] == ["0", "1", "2"]
    assert history(folder / "killed") == history(folder / "whole")
    results = [json.loads((folder / name / "result.json").read_text()) for name in ("whole", "killed")]
    assert results[0] | {"seconds": 0} == results[1] | {"seconds": 0}


def test_killed_training_leaves_no_half_written_files_when_it_ends(runs):
    folder, _ = runs
    assert sorted(os.listdir(folder / "killed")) == sorted(os.listdir(folder / "whole"))
    assert not list((folder / "killed" / "checkpoints").glob("*_temp"))
