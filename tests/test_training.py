"""Training, evaluating and predicting on a small scale, from the command line."""

import csv
import dataclasses
import importlib.util
import json
import re
import shutil
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from processes import app
from sdf_files import write_sdf
from typer.testing import CliRunner

from pg_tf import training
from pg_tf.commands.train import config_of
from pg_tf.datasets import load_sample
from pg_tf.datasets.prepare import prepare
from pg_tf.datasets.readers import npz
from pg_tf.training import PAPER, SMALL, Config, evaluation, pipeline
from pg_tf.training.build import learning_rate
from pg_tf.training.pipeline import batches, training_batches

pytestmark = pytest.mark.slow

# The recipe "small" with a network that is traced in little time, and that XLA need not compile.
TINY = (
    *("--model", "resnet3d10", "--network", "width=2", "--grid-size", 16, "--voxel", "none", "--no-jit-compile"),
    *("--batch-size", 16, "--epochs", 2),
)


def pg_tf(*arguments):
    return CliRunner().invoke(app, [*map(str, arguments)])


def output_of(*arguments):
    """What pg-tf prints where it succeeds."""
    result = pg_tf(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


def predicted(run, file):
    """What pg-tf prints, and the rows of the table of predictions for the molecules of a file."""
    table = file.with_name("out.csv")
    printed = output_of("predict", file, "--model", run, "--output", table)
    with open(table, newline="", encoding="utf-8") as rows:
        return printed, list(csv.DictReader(rows))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "molecules.sdf"
    write_sdf(path, load_sample("validation")[:60])
    return path


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    """The folder of a finished run."""
    folder = tmp_path_factory.mktemp("run")
    settings = ("--recipe", "small", "--data", data, "--label", "gap", "--unit", "eV", "--no-other", *TINY)
    assert "54 to train, 3 to validate, 3 to test" in output_of("train", *settings, "--output", folder)
    return folder


@pytest.fixture
def copy(run, tmp_path):
    """A copy of the finished run, for tests that spoil it."""
    return Path(shutil.copytree(run, tmp_path / "run"))


@pytest.fixture
def unfinished(copy):
    """The same, without its result: to go on from."""
    (copy / "result.json").unlink()
    return copy


def train_again(run, *arguments):
    config = json.loads((run / "config.json").read_text())
    return pg_tf("train", "--config", run / "config.json", "--output", run, "--data", config["data"], *arguments)


def test_paper_recipe_is_the_papers():
    """Zaman et al. (2022), section VII."""
    assert Config() == PAPER
    assert PAPER.element_channels().num_channels == 1
    assert (PAPER.grid_size, PAPER.sigma, PAPER.box) == (32, 0.4, None)
    assert (PAPER.model, PAPER.network) == ("resnet3d10", {})
    assert (PAPER.optimizer, PAPER.loss, PAPER.batch_size, PAPER.epochs) == ("rmsprop", "mse", 256, 400)
    assert PAPER.splits == "0.9,0.05,0.05"
    schedule = learning_rate(PAPER, steps_per_epoch=10)
    rates = [float(schedule(step)) for step in (0, 9, 10, 20)]
    np.testing.assert_allclose(rates, [1e-3, 1e-3, 0.999e-3, 0.999**2 * 1e-3], rtol=1e-6)


def test_cosine_schedule_rises_then_falls_to_zero():
    schedule = learning_rate(dataclasses.replace(SMALL, epochs=10, warmup=0.2), steps_per_epoch=10)
    rates = np.array([float(schedule(step)) for step in range(101)])
    assert rates[0] == 0
    assert rates.argmax() == 20
    assert rates[20] == pytest.approx(SMALL.learning_rate)
    assert (np.diff(rates[:21]) > 0).all()
    assert (np.diff(rates[20:]) < 0).all()
    assert rates[100] == pytest.approx(0, abs=1e-9)


def test_config_survives_its_file(tmp_path):
    config = dataclasses.replace(
        SMALL, voxel=None, grid_size=9, box=10.5, channels=("C", "N+O"), network={"blocks": 3}, patience=4
    )
    (tmp_path / "config.json").write_text(config.to_json())
    assert Config.load(tmp_path / "config.json") == config


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"sigma": 0.0}, "sigma: must be greater than 0, got 0.0"),
        ({"epochs": 0}, "epochs: must be at least 1, got 0"),
        ({"learning_rate": float("nan")}, "learning_rate: must be a finite number, got nan"),
        ({"splits": "most"}, 'splits: must be "official" or fractions'),
        ({"loss": "hinge"}, "loss: must be 'mse', 'mae' or 'huber', got 'hinge'"),
        ({"channels": ("C", "Xx")}, "'Xx' is not an element symbol"),
        ({"network": {"outputs": 3}}, "network: 'outputs' follows from the other settings"),
        ({"max_minutes": 1.0}, "max_minutes: anneals the cosine schedule only"),
        ({"rotation": "no"}, "rotation: must be a valid boolean, got 'no'"),
        ({"epochs": 1.5}, "epochs: must be a valid integer, got 1.5"),
        ({"sigma": None}, "sigma: must be a valid number, got None"),
        ({"box": True}, "box: must be a valid number or none, got True"),
        ({"model": "resnet3d11"}, "model: must be one of invariant3d, .* or module:function, got 'resnet3d11'"),
        ({"grid_size": None}, "grid_size: only with --voxel can it follow"),
        ({"box": 9.0, "voxel": 1.0}, "voxel: with voxels of 1.0 Å the box follows"),
        ({"depht": 18}, "depht: there is no such setting; there are data, label"),
        ({"channels": "CN"}, "channels: must be a valid tuple, got 'CN'"),
    ],
)
def test_settings_out_of_range_are_refused(change, text):
    with pytest.raises(ValueError, match=text) as raised:
        dataclasses.replace(PAPER, **change)
    assert "\n" not in str(raised.value)


def test_config_file_changes_a_recipe_and_options_change_both(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text('{"splits": [0.8, 0.1, 0.1], "epochs": 3, "sigma": 0.6}')
    config = config_of("small", path, {"sigma": 0.7, "network": ["heads=0"]})
    network = {**SMALL.network, "heads": 0}
    assert config == dataclasses.replace(SMALL, splits="0.8,0.1,0.1", epochs=3, sigma=0.7, network=network)


def test_another_model_begins_without_the_arguments_of_the_first(tmp_path):
    assert config_of("small", None, {"model": "resnet3d18"}).network == {}
    assert config_of("small", None, {"model": "resnet3d18", "network": ["width=8"]}).network == {"width": 8}
    (tmp_path / "mine.json").write_text('{"model": "mine:network", "network": {"layers": 3}}')
    assert config_of("small", tmp_path / "mine.json", {"network": ["width=8"]}).network == {"layers": 3, "width": 8}


@pytest.mark.parametrize("base", [PAPER, SMALL])
def test_configs_that_name_no_model_are_of_3d_resnets(base, tmp_path):
    (tmp_path / "config.json").write_text('{"depth": 18, "width": 16, "network": {"stem_kernel": 5}}')
    config = Config.load(tmp_path / "config.json", base)
    assert (config.model, config.network) == ("resnet3d18", {"width": 16, "stem_kernel": 5})
    assert Config.from_dict({"depth": 10, "width": 64}) == PAPER


def test_grid_follows_from_the_training_molecules():
    molecules = load_sample("validation")
    config = pipeline.with_grid_size(dataclasses.replace(SMALL, voxel=0.5, margin=1.0), molecules)
    assert config.edge - 0.5 < molecules.diameters().max() + 2 <= config.edge
    assert pipeline.with_grid_size(config, molecules[:1]) == config


def test_a_users_own_network_is_found_by_its_name(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(
        "import keras\n"
        "@keras.saving.register_keras_serializable('mine')\n"
        "class Double(keras.layers.Layer):\n"
        "    def call(self, x):\n"
        "        return 2 * x\n"
        "def network(input_shape, units=3):\n"
        "    grid = keras.Input(input_shape)\n"
        "    x = keras.layers.Dense(units)(keras.layers.Flatten()(grid))\n"
        "    return keras.Model(grid, Double()(keras.layers.Dense(1)(x)), name='mine')\n"
        "def two(input_shape):\n"
        "    grid = keras.Input(input_shape)\n"
        "    return keras.Model(grid, keras.layers.Dense(2)(keras.layers.Flatten()(grid)))\n"
    )
    settings = ("--recipe", "small", "--data", data, "--label", "gap", "--no-jit-compile", "--epochs", 1)
    named = (*settings, "--grid-size", 8, "--overwrite", "--output", tmp_path / "run", "--model")
    assert "mine: " in output_of("train", *named, "mine:network", "--network", "units=5")
    assert "mine on grids" in output_of("evaluate", "--model", tmp_path / "run")
    one_line(pg_tf("train", *named, "mine:network", "--network", "unit=5"), "network:", "unit")
    one_line(pg_tf("train", *named, "mine:none"), "model: there is no none in a module mine")
    one_line(pg_tf("train", *named, "nowhere:network"), "model: there is no network in a module nowhere")
    one_line(pg_tf("train", *named, "mine:two"), "model: mine:two must return", "(None, 1), got (None, 2)")


def test_training_stream_goes_on_with_the_same_grids():
    config = dataclasses.replace(SMALL, grid_size=16, batch_size=8)
    source = load_sample("validation")[:20]
    whole = list(training_batches(source, config).take(8))
    rest = list(training_batches(source, config, start=4).take(4))
    assert [len(labels) for _, labels in whole] == [8, 8, 4] * 2 + [8, 8]
    for (grid, label), (same_grid, same_label) in zip(whole[4:], rest, strict=True):
        np.testing.assert_array_equal(label, same_label)
        np.testing.assert_array_equal(grid, same_grid)


def test_translation_moves_atoms_in_their_box():
    molecule = load_sample("validation")[:1]
    moved = dataclasses.replace(
        SMALL, grid_size=16, voxel=None, margin=3.0, batch_size=1, rotation=False, translation=0.5, channels=()
    )
    still = next(iter(batches(molecule, moved)))[0]
    grids = tf.concat([grid for grid, _ in training_batches(molecule, moved).take(20)], axis=0)
    np.testing.assert_allclose(tf.reduce_sum(grids, [1, 2, 3, 4]), tf.reduce_sum(still), rtol=1e-4)
    # The centre of mass, in voxels, is where the box holds it still; one voxel is some 0.5 Å.
    voxels = tf.range(16, dtype=tf.float32)
    means = [tf.reduce_sum(grids[..., 0] * tf.reshape(voxels, shape), [1, 2, 3]) for shape in ([16, 1, 1], [16, 1])]
    assert all(np.ptp(mean) / float(tf.reduce_sum(still)) > 0.3 for mean in means)


def test_run_holds_all_that_was_promised(run):
    for name in ("config.json", "data.json", "best.keras", "history.csv", "result.json", "checkpoints/checkpoint"):
        assert (run / name).stat().st_size > 0, name
    assert not list(run.glob("*.part*"))
    history = training.Run(run).history()
    assert history["epoch"] == [0, 1]
    assert training.Run(run).result()["val_loss"] == min(history["val_loss"])


def test_finished_run_says_so_and_stays_as_it_is(run):
    before = (run / "best.keras").read_bytes()
    result = train_again(run)
    assert result.exit_code == 0
    assert "finished after 2 epochs" in result.output
    assert (run / "best.keras").read_bytes() == before


def test_other_settings_in_the_same_folder_are_refused_by_name(run):
    result = train_again(run, "--sigma", 0.6)
    one_line(result, "sigma is 0.5 there and 0.6 here")
    assert "model" not in result.output


def test_a_run_that_failed_before_its_first_checkpoint_bars_nothing(data, tmp_path):
    settings = ("train", "--recipe", "small", "--data", data, "--label", "gap", "--unit", "eV", "--output", tmp_path)
    one_line(pg_tf(*settings, *TINY, "--grid-size", 4000), "4000 x 4000 x 4000 voxels do not fit")
    assert training.Run(tmp_path).config().grid_size == 4000
    assert pg_tf(*settings, *TINY, "--epochs", 1).exit_code == 0
    assert training.Run(tmp_path).config().grid_size == 16
    one_line(pg_tf(*settings, *TINY), "epochs is 1 there and 2 here")


def test_files_of_a_run_without_its_settings_are_not_gone_on_from(run, copy):
    (copy / "config.json").unlink()
    (copy / "result.json").unlink()
    one_line(train_again(run, "--output", copy), "holds files of a run and no config.json")
    one_line(train_again(run, "--output", copy, "--overwrite"), "holds files of a run and no config.json")
    shutil.copy(run / "config.json", copy)
    (copy / "data.json").unlink()
    one_line(train_again(copy), "it has no data.json")


def test_other_data_under_the_same_name_is_refused(unfinished, data, tmp_path):
    facts = json.loads((unfinished / "data.json").read_text())
    (unfinished / "data.json").write_text(json.dumps({**facts, "label_mean": 1.25}))
    one_line(train_again(unfinished), "they have changed", "label_mean was 1.25")
    (unfinished / "data.json").write_text(json.dumps(facts))
    write_sdf(tmp_path / "other.sdf", load_sample("test")[:60])
    config = json.loads((unfinished / "config.json").read_text())
    (unfinished / "config.json").write_text(json.dumps({**config, "data": str(tmp_path / "other.sdf")}))
    one_line(pg_tf("evaluate", "--model", unfinished), "they have changed")


def test_overwriting_touches_nothing_until_all_is_known_to_fit(run, copy, data, tmp_path):
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    one_line(train_again(copy, "--overwrite", "--data", tmp_path / "typo.sdf"), "typo.sdf")
    one_line(train_again(copy, "--overwrite", "--network", "stem_colour=3"), "stem_colour")
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before
    (copy / "config.json").write_text('{"somebody": "else"}')
    one_line(train_again(run, "--output", copy, "--overwrite"), "there is no such setting")
    assert (copy / "best.keras").exists()


def test_a_folder_in_use_is_refused(run):
    with training.Run(run).lock():
        one_line(train_again(run, "--overwrite"), "another process is training in", str(run))
    assert (run / "best.keras").exists()


def test_official_split_without_a_test_part_is_enough(tmp_path):
    sample = load_sample("validation")[:40]
    columns = {"z": sample.atomic_numbers, "pos": sample.coords, "offsets": sample.row_splits, "gap": sample.labels}
    np.savez(tmp_path / "sample.npz", **columns)
    prepare(npz([tmp_path / "sample.npz"], "gap"), tmp_path / "shards", workers=1, records_per_shard=10)
    manifest = json.loads((tmp_path / "shards" / "manifest.json").read_text())
    for shard, name in zip(manifest["shards"], ("train", "train", "train", "valid"), strict=True):
        shard["split"] = name
    (tmp_path / "shards" / "manifest.json").write_text(json.dumps(manifest))
    settings = {"data": str(tmp_path / "shards"), "splits": "official", "network": {"width": 2}, "grid_size": 16}
    config = Config.from_dict({**settings, "batch_size": 16, "epochs": 1})
    finished = training.train(config, tmp_path / "run", write=lambda line: None)
    evaluation = training.evaluate(finished)
    assert evaluation.molecules == {"validation": 10}
    ours = {part: scores[0].mae for part, scores in evaluation.scores.items()}
    assert evaluation.ogb_mae == (pytest.approx(ours) if importlib.util.find_spec("ogb") else {})


def test_molecules_larger_than_the_box_are_counted(data, tmp_path):
    settings = ("--data", data, "--label", "gap", "--output", tmp_path, "--box", 5.0, *TINY, "--epochs", 1)
    warning = r"\d+ of the 54 training molecules are larger than the box of 5 Å"
    assert re.search(warning, output_of("train", *settings))


def test_evaluation_is_what_the_labels_and_predictions_say(run, data):
    printed = output_of("evaluate", "--model", run)
    written = json.loads((run / "evaluation.json").read_text())
    config = training.Run(run).config()
    for part in ("validation", "test"):
        source = training.load_part(config, part)
        error = training.predict(run, source) - source.labels
        network, linear, mean = written["scores"][part]
        assert network["mae"] == pytest.approx(np.abs(error).mean(), rel=1e-5)
        assert network["mse"] == pytest.approx((error**2).mean(), rel=1e-5)
        assert f"{network['mae']:.4f}" in printed
        train = training.load_part(config, "train")
        assert mean["mae"] == pytest.approx(np.abs(source.labels - train.labels.mean()).mean(), rel=1e-5)
        assert linear["mse"] > 0
    logged = training.Run(run).history()
    best = int(np.argmin(logged["val_loss"]))
    # The same molecules in other batches: nothing but rounding between them.
    assert written["scores"]["validation"][0]["mae"] == pytest.approx(logged["val_mae"][best], rel=1e-4)


def test_composition_fit_is_least_squares():
    train, test = load_sample("train")[:500], load_sample("test")[:100]
    fit = evaluation.CompositionFit(train)
    predicted, true = fit.predict(test)
    np.testing.assert_array_equal(true, test.labels)
    counts = [np.column_stack([np.ones(len(m)), m.composition(train.symbols)]) for m in (train, test)]
    expected = counts[1] @ np.linalg.lstsq(counts[0], train.labels.astype(float), rcond=None)[0]
    np.testing.assert_allclose(predicted, expected, atol=1e-6)


def test_official_mae_is_ours():
    pytest.importorskip("ogb.lsc", reason="ogb is not installed")
    predicted, true = np.float32([1, 2, 4]), np.float32([1, 3, 2])
    assert evaluation.official_mae(predicted, true) == pytest.approx(1.0)


def test_saved_model_is_plain_keras(run):
    with zipfile.ZipFile(run / "best.keras") as archive:
        saved = archive.read("config.json").decode()
    assert "pg_tf" not in saved
    assert set(re.findall(r'"module": "([a-z_.]+)"', saved)) <= {
        *("keras", "keras.layers", "keras.initializers", "keras.optimizers", "keras.optimizers.schedules"),
        *("keras.losses", "keras.metrics", "keras.src.models.functional"),
    }
    assert keras.saving.load_model(run / "best.keras").output_shape == (None, 1)


def test_rotations_average_over_orientations(run):
    molecules = load_sample("test")[:5]
    predictor = training.Predictor(run, rotations=3)
    averaged, again = predictor(molecules), predictor(molecules)
    np.testing.assert_array_equal(averaged, again)
    predictor.motions = [None]
    assert np.abs(averaged - predictor(molecules)).max() > 0


def test_prediction_of_a_file_has_a_row_for_each_record(run, data, tmp_path):
    records = data.read_text().split("$$$$\n")[:4]
    records[1] = records[1].replace(" C ", " Xx", 1)
    records[2] = records[2].replace(" C ", " Si", 1)
    flat = "flat\n  x\n\n  1  0  0  0  0  0  0  0  0  0999 V2000\n    0.0 0.0"
    (tmp_path / "new.sdf").write_text("$$$$\n".join([*records, flat]) + "$$$$\n")
    printed, rows = predicted(run, tmp_path / "new.sdf")
    assert "2 molecules predicted, 3 not" in printed
    assert [bool(row["prediction"]) for row in rows] == [True, False, False, True, False]
    assert "no channel for Si" in rows[2]["note"]
    assert all(row["note"] for row in rows if not row["prediction"])
    expected = training.predict(run, load_sample("validation")[[0, 3]])
    # The file holds coordinates to 1e-4 Å.
    np.testing.assert_allclose([float(rows[i]["prediction"]) for i in (0, 3)], expected, atol=1e-3)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("few.smi", "CCO ethanol\nnot_smiles\nc1ccccc1\n"),
        ("few.csv", "smiles\nCCO\nnot_smiles\nc1ccccc1\n"),
        ("few.xyz", "3\nwater\nO 0 0 0\nH 0 0 0.96\nH 0.93 0 -0.24\n1\n\nQq 0 0 0\n2\n\nN 0 0 0\nN 0 0 1.1\n"),
    ],
)
def test_prediction_reads_smiles_and_xyz(run, tmp_path, name, text):
    (tmp_path / name).write_text(text)
    _, rows = predicted(run, tmp_path / name)
    assert [bool(row["prediction"]) for row in rows] == [True, False, True]
    assert rows[1]["note"]


def one_line(result, *texts):
    """The command failed with a message that holds these texts, and no traceback."""
    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output
    for text in texts:
        assert text in " ".join(result.output.split())


def test_unusable_runs_and_files_are_one_clear_line(run, data, tmp_path):
    def predict(file, model=run):
        return pg_tf("predict", file, "--model", model, "--output", tmp_path / "out.csv")

    one_line(predict(data, tmp_path), "is not the folder of a run")
    one_line(predict(tmp_path / "none.sdf"), "there is no file", "none.sdf")
    one_line(predict(tmp_path / "none.txt"), "must end in .sdf")
    (tmp_path / "empty.sdf").touch()
    one_line(predict(tmp_path / "empty.sdf"), "is empty")
    damaged = tmp_path / "damaged"
    shutil.copytree(run, damaged)
    content = bytearray((run / "best.keras").read_bytes())
    content[len(content) // 2] ^= 0xFF
    (damaged / "best.keras").write_bytes(content)
    one_line(predict(data, damaged), "best.keras is damaged")
    (damaged / "best.keras").write_bytes(content[:1000])
    one_line(predict(data, damaged), "best.keras is damaged")
    (damaged / "best.keras").unlink()
    one_line(predict(data, damaged), "has no best.keras; training writes it after an epoch")
    (damaged / "config.json").write_text("{")
    one_line(predict(data, damaged), "config.json is not a JSON file")
    assert not (tmp_path / "out.csv").exists()


def test_a_model_of_another_run_is_refused_by_what_differs(run, copy, data, tmp_path):
    def commands_refuse(*texts):
        one_line(pg_tf("predict", data, "--model", copy, "--output", tmp_path / "out.csv"), *texts)
        one_line(pg_tf("evaluate", "--model", copy), *texts)
        one_line(train_again(copy, "--output", copy), *texts)

    config, facts = ((copy / name).read_text() for name in ("config.json", "data.json"))
    (copy / "data.json").write_text(facts.replace('"train": 54', '"train": 64'))
    commands_refuse("best.keras and data.json are of two runs: train is 54 in the one and 64 in the other")
    (copy / "data.json").write_text(facts)
    moved = json.dumps({**json.loads(config), "data": str(shutil.copy(data, tmp_path / "moved.sdf"))})
    (copy / "config.json").write_text(moved)
    assert pg_tf("evaluate", "--model", copy).exit_code == 0
    (copy / "config.json").write_text(config.replace('"sigma": 0.5', '"sigma": 0.6'))
    texts = ("best.keras and config.json are of two runs: sigma is 0.5 in the one and 0.6 in the other",)
    one_line(pg_tf("predict", data, "--model", copy, "--output", tmp_path / "out.csv"), *texts)
    keras.saving.load_model(run / "best.keras").save(copy / "best.keras")  # says nothing of a run
    assert pg_tf("predict", data, "--model", copy, "--output", tmp_path / "out.csv").exit_code == 0


@pytest.mark.parametrize("finished", [True, False])
def test_a_damaged_best_model_is_refused_before_training_goes_on(run, copy, finished):
    if not finished:
        (copy / "result.json").unlink()
    (copy / "best.keras").write_bytes((run / "best.keras").read_bytes()[:1000])
    one_line(train_again(copy), "best.keras is damaged")
    (copy / "best.keras").unlink()
    one_line(train_again(copy), "has no best.keras; training writes it after an epoch")
    assert (copy / "history.csv").read_bytes() == (run / "history.csv").read_bytes()


def test_a_table_never_replaces_the_molecules(run, data, tmp_path):
    copy = shutil.copy(data, tmp_path / "molecules.sdf")
    one_line(pg_tf("predict", copy, "--model", run, "--output", copy), "output:", "is the file with the molecules")
    assert copy.read_bytes() == data.read_bytes()


def test_a_molecule_that_is_too_far_off_is_noted_and_the_others_predicted(run, tmp_path):
    (tmp_path / "far.xyz").write_text("1\n\nC 1e36 0 0\n2\n\nC 9e4 0 0\nH 9.0001e4 0 0\n")
    _, (far, near) = predicted(run, tmp_path / "far.xyz")
    assert (far["prediction"], bool(near["prediction"])) == ("", True)
    assert "no digits left" in far["note"]


def test_labels_that_cannot_be_in_their_unit_are_questioned(tmp_path):
    sample = load_sample("validation")[:40]
    columns = {"z": sample.atomic_numbers, "pos": sample.coords, "offsets": sample.row_splits}
    np.savez(tmp_path / "few.npz", **columns, gap=sample.labels / 27.2)
    settings = ("train", "--recipe", "small", "--data", tmp_path / "few.npz", "--label", "gap", *TINY, "--epochs", 1)
    assert "were the values in hartree (3.4" in output_of(*settings, "--unit", "eV", "--output", tmp_path / "wrong")
    assert "were the values" not in output_of(*settings, "--unit", "hartree", "--output", tmp_path / "right")


def test_unusable_data_and_folders_are_one_clear_line(data, tmp_path):
    def train(*arguments):
        return pg_tf("train", "--recipe", "small", *TINY, "--output", tmp_path / "out", "--overwrite", *arguments)

    one_line(train("--data", data), "label")
    one_line(train("--data", data, "--label", "charm"), "label 'charm' is missing")
    one_line(train("--data", tmp_path / "none.sdf", "--label", "gap"), "none.sdf")
    one_line(train("--data", data, "--label", "gap", "--channels", "C,H", "--no-other"), "which has no channel")
    one_line(train("--data", data, "--label", "gap", "--network", "stem_colour=3"), "stem_colour")
    if not tf.config.list_physical_devices("GPU"):
        one_line(train("--data", data, "--label", "gap", "--precision", "mixed_float16"), "use mixed_bfloat16")
    blocks = train("--data", data, "--label", "gap", "--network", "blocks=3")
    one_line(blocks, "blocks must be whole numbers", "blocks=3")
    one_line(train("--data", "sample", "--label", "charm"), "the sample has the label 'gap', not 'charm'")
    one_line(train("--data", "sample", "--seed", 2**32), "seed: must be at most 4294967295, got 4294967296")
    one_line(train("--recipe", "large"), "--recipe: must be one of paper, small, quick")
    (tmp_path / "file").touch()
    one_line(train("--output", tmp_path / "file"), str(tmp_path / "file"))
    write_sdf(tmp_path / "few.sdf", load_sample("validation")[:5])
    one_line(train("--data", tmp_path / "few.sdf", "--label", "gap"), "part of", "is empty")


def test_loss_that_is_not_finite_stops_with_the_step_named(data, tmp_path):
    settings = ("--data", data, "--label", "gap", *TINY, "--optimizer", "sgd", "--learning-rate", "1e30")
    one_line(pg_tf("train", *settings, "--output", tmp_path), "of epoch 1: training stopped", "Lower the learning rate")
    assert not (tmp_path / "best.keras").exists()
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.parametrize("content", [b"", b"model_checkpoint_pa", None])
def test_checkpoints_are_found_without_the_list_of_them(run, unfinished, content):
    (unfinished / "checkpoints" / "checkpoint").unlink()
    if content is not None:
        (unfinished / "checkpoints" / "checkpoint").write_bytes(content)
    result = train_again(unfinished)
    assert result.exit_code == 0, result.output
    assert "going on after 2 epochs and 0 steps" in result.output
    assert (unfinished / "best.keras").read_bytes() == (run / "best.keras").read_bytes()


def test_damaged_checkpoint_gives_way_to_the_one_before(unfinished):
    (last,) = unfinished.glob("checkpoints/ckpt-2.data*")
    last.write_bytes(last.read_bytes()[:100])
    with pytest.warns(UserWarning, match="trying the one before"):
        result = train_again(unfinished)
    assert result.exit_code == 0, result.output
    assert "going on after 1 epochs and 0 steps" in result.output
    assert training.Run(unfinished).history()["epoch"] == [0, 1]
