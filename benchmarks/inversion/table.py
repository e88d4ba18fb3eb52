"""The table as it is printed."""

from typing import Any

from benchmarks.inversion.scoring import EXACT, NEAR

HEADER = (
    f"{'grid':>4} {'sigma':>5} {'channels':>14} {'noise':>5} {'method':>12} {'n':>5} | {'exact':>6} {'right':>6} "
    f"{'target':>7} | {'few':>4} {'many':>4} {'chan':>4} {'displ':>5} | {'unconv':>6} {'claim':>5} | {'median Å':>8} "
    f"{'max Å':>8} {'RMSD Å':>8} | {'ms/mol':>7}"
)
LEGEND = f"""\
exact: % of molecules right in number, channels and coordinates (largest error < {EXACT} Å); right: % with the right
number of atoms in every channel. few, many, chan, displ: molecules that are not exact, by cause: too few atoms, too
many, right number in wrong channels, right counts but displaced. unconv: said not to be explained; claim: said to be
explained, but not exact (with noise: wrong in number or by more than {NEAR} Å).
Errors are the largest of each molecule, and the RMSD is over all atoms, of the molecules whose counts are right."""


def line(row: dict[str, Any]) -> str:
    """One row below HEADER."""

    def number(value: float | None, form: str) -> str:
        return format("-" if value is None else format(value, form), ">8")

    target = ""
    if row["target"] is not None:
        reached = row["right_count" if row["noise"] else "exact"] >= row["target"]
        if row["target_rmsd"] is not None:
            reached &= row["rmsd"] is not None and row["rmsd"] < row["target_rmsd"]
        target = f"{100 * row['target']:g} {'ok' if reached else 'no'}"
    return (
        f"{row['grid_size']:>4} {row['sigma']:>5g} {row['channels']:>14} {row['noise']:>5.0%} {row['method']:>12} "
        f"{row['molecules']:>5} | {row['exact']:>6.1%} {row['right_count']:>6.1%} {target:>7} | {row['too few']:>4} "
        f"{row['too many']:>4} {row['wrong channel']:>4} {row['displaced']:>5} | {row['not converged']:>6} "
        f"{row['converged but wrong']:>5} | {number(row['median_error'], '.1e')} {number(row['max_error'], '.1e')} "
        f"{number(row['rmsd'], '.1e')} | {row['ms_per_molecule']:>7.1f}"
    )
