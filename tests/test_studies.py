"""The learning studies: fits of curves, tables from results, an experiment from molecules to errors."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from studies import baselines, data, fit, results
from studies.curves import power_law
from studies.experiment import Experiment
from studies.rows import BASE, ROWS, Baseline, Trained

NOWHERE = Path("no such folder")

TINY = BASE.replace(source="sample", num_train=64, grid_size=8, box=12.0, network={"width": 4}, epochs=2, batch_size=32)


def test_power_law_recovers_its_parameters() -> None:
    num_train = [100, 300, 1000, 3000]
    law = power_law(num_train, [5 * n**-0.3 for n in num_train])
    assert law.scale == pytest.approx(5)
    assert law.exponent == pytest.approx(0.3)
    assert law.at(1e6) == pytest.approx((5 * 1e6**-0.3,) * 3)


def test_power_law_interval_holds_the_truth_and_widens_beyond_the_data(rng: np.random.Generator) -> None:
    num_train = np.array([100, 100, 300, 300, 1000, 1000, 3000, 3000])
    inside = 0
    for _ in range(200):
        law = power_law(num_train, 5 * num_train**-0.3 * np.exp(rng.normal(0, 0.05, len(num_train))))
        _, low, high = law.at(1e6)
        inside += low < 5 * 1e6**-0.3 < high
        near = law.at(500)
        assert high / low > near[2] / near[1]
    assert inside > 170  # 91 % expected of two standard deviations with six degrees of freedom: 182 +- 4


def test_power_law_needs_two_sizes() -> None:
    with pytest.raises(ValueError, match=r"two numbers of molecules, got \[100\]"):
        power_law([100, 100], [0.5, 0.6])


def test_rows_have_names_of_their_own() -> None:
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)


def test_changes_differ_from_the_base_in_one_thing_or_say_so() -> None:
    for row in ROWS:
        if isinstance(row, Trained) and row.table == "changes":
            settings, base = dataclasses.asdict(row.experiment.config), dataclasses.asdict(BASE.config)
            assert row.name == "change-none" or settings != base
            assert row.experiment.num_train == BASE.num_train


def test_result_is_read_back_the_last_of_a_seed(tmp_path: Path) -> None:
    for seed, mae in ((0, 0.5), (1, 0.6), (0, 0.4)):
        results.append(tmp_path, "row", seed, {"mae": mae})
    assert {seed: result["mae"] for seed, result in results.read(tmp_path, "row").items()} == {0: 0.4, 1: 0.6}
    assert results.read(tmp_path, "other") == {}


def test_table_has_mean_and_spread_of_the_seeds(tmp_path: Path) -> None:
    row = next(row for row in ROWS if isinstance(row, Baseline))
    results.append(tmp_path, row.name, 0, {"mae": 0.4, "mse": 0.2})
    results.append(tmp_path, row.name, 1, {"mae": 0.6, "mse": 0.2})
    table = results.table(row.table, tmp_path)
    assert "0.500 ± 0.141" in table
    assert "0.200 ± 0.000" in table
    assert len(table.splitlines()) == 3  # header, rule, and of all rows the one that was measured


def test_changes_are_compared_with_the_base_seed_by_seed(tmp_path: Path) -> None:
    for seed, mae in ((0, 0.4), (1, 0.6), (2, 0.5)):
        results.append(tmp_path, "change-none", seed, {"mae": mae, "mse": 0.1})
    for seed, mae in ((0, 0.45), (1, 0.63)):
        results.append(tmp_path, "change-relu", seed, {"mae": mae, "mse": 0.1})
    results.append(tmp_path, "changes-mean", 0, {"mae": 1.0, "mse": 1.0})
    header, _, *rows = (line.split(" | ") for line in results.table("changes", tmp_path).splitlines())
    column = header.index("MAE against the base")
    assert {row[-1].strip(" |`"): row[column] for row in rows} == {
        **{"changes-mean": "", "change-none": ""},
        "change-relu": "+0.040 ± 0.014",
    }


def test_render_replaces_tables_and_nothing_else(tmp_path: Path) -> None:
    document = tmp_path / "results.md"
    text = "before\n" + "\n".join(f"<!-- {name} -->\nold\n<!-- end -->\nbetween" for name in results.TABLES)
    document.write_text(text)
    results.render(document, tmp_path)
    rendered = document.read_text()
    assert "old" not in rendered
    assert rendered.startswith("before\n")
    assert rendered.count("between") == len(results.TABLES)
    results.render(document, tmp_path)
    assert document.read_text() == rendered


def test_render_refuses_a_document_without_a_table(tmp_path: Path) -> None:
    document = tmp_path / "results.md"
    document.write_text("<!-- unknown -->\n<!-- end -->\n")
    with pytest.raises(ValueError, match="has the tables unknown, and must have"):
        results.render(document, tmp_path)


def test_split_has_the_same_test_molecules_for_every_size() -> None:
    small, large = (data.split("sample", size, 3, NOWHERE) for size in (10, 100))
    assert large[0].names[:10] == small[0].names
    assert small[2].names == large[2].names
    assert not set(large[0].names) & {*large[1].names, *large[2].names}


def test_missing_data_are_named() -> None:
    with pytest.raises(data.MissingData, match=r"qm9: there is no .*qm9_sample.npz"):
        data.load("qm9", NOWHERE)


def test_linear_fit_on_composition_beats_the_mean() -> None:
    scores = {name: baselines.run(name, "sample", 1000, 0, NOWHERE)["mae"] for name in ("mean", "composition")}
    assert scores["composition"] < 0.8 * scores["mean"]


@pytest.mark.slow
def test_recipe_runs_and_its_weights_are_kept(tmp_path: Path) -> None:
    lines: list[str] = []
    first = fit.run(TINY, 0, NOWHERE, tmp_path, lines.append)
    assert len(lines) == TINY.config.epochs
    assert np.isfinite([first["mae"], first["mse"], first["rotated_mae"], first["train_mae"]]).all()
    again = fit.run(TINY, 0, NOWHERE, tmp_path, lines.append)
    assert len(lines) == TINY.config.epochs  # not trained again
    assert again["mae"] == pytest.approx(first["mae"])
    tuned: Experiment = TINY.replace(learning_rate=1e-9, num_train=32, grid_size=10, box=15.0, pretrain=TINY)
    fit.run(tuned, 0, NOWHERE, tmp_path, lines.append)
    assert len(lines) == 2 * TINY.config.epochs  # the second half is the tuning
