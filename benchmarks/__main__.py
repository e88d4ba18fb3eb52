"""Measures pg_tf beside its baselines; writes JSON, Markdown and charts.

python -m benchmarks [--quick] [--data FILE.npz] [--cases floor study ...] [--install-baselines]
"""

import argparse
import importlib
import time
from pathlib import Path

from benchmarks import charts, machine, op, report, workload
from benchmarks.baselines.packages.environment import install
from benchmarks.cases import ALIASES, CASES, LONG
from benchmarks.settings import SCALES, Settings, Table


def main(arguments: list[str] | None = None) -> None:
    """Runs the benchmarks from the command line."""
    options = _parser().parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    if options.install is not None:
        install(options.packages, options.install)
    op.use_threads(1)
    molecules = workload.load(options.data)
    settings = Settings(molecules, SCALES[options.scale], options.output.resolve(), options.packages.resolve())
    about = {
        **machine.describe(),
        "scale": options.scale,
        "data": options.data.name if options.data else "the shipped sample, test split",
        "molecules": len(molecules),
        "atoms_per_molecule": float(molecules.atoms.mean()),
        "seconds": {},
    }
    tables: dict[str, Table] = {}
    quick = [name for name in CASES if name not in LONG]
    for name in options.cases or (quick if options.scale == "quick" else CASES):
        start = time.perf_counter()
        made = importlib.import_module(f"benchmarks.cases.{name}").run(settings)
        tables |= made
        for table in made.values():
            print(report.text(table), end="\n\n", flush=True)
        about["seconds"][name] = round(time.perf_counter() - start, 1)
        # After each case: a run that is interrupted leaves what it has measured.
        path = report.write(options.output, about, tables, settings.timings)
    drawn = charts.draw(options.output, tables)
    took = sum(about["seconds"].values())
    print(report.FIGURES)
    print(f"{took:.0f} s; {path}, results.md and {', '.join(chart.name for chart in drawn) or 'no charts'}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    scale = parser.add_mutually_exclusive_group()
    scale.add_argument("--scale", choices=SCALES, default="full", help="smoke only shows that everything runs")
    scale.add_argument("--quick", action="store_const", const="quick", dest="scale", help="in two minutes")
    parser.add_argument("--data", type=Path, metavar="FILE.npz", help="holds pos, offsets, and z or channel")
    parser.add_argument(
        "--cases",
        nargs="+",
        type=lambda name: ALIASES.get(name, name),
        choices=CASES,
        metavar="CASE",
        help=" ".join(CASES),
    )
    parser.add_argument("--output", type=Path, default=Path("runs/bench"), help="folder of the results (%(default)s)")
    parser.add_argument(
        "--baselines",
        "--rivals",
        type=Path,
        default=Path("runs/rivals"),
        dest="packages",
        metavar="DIR",
        help="environment of the published voxelizers (%(default)s); --rivals is the same",
    )
    parser.add_argument(
        "--install-baselines",
        "--install-rivals",
        nargs="*",
        dest="install",
        metavar="NAME",
        help="first install these published voxelizers, or all of them; torch, which PyUUL needs, is several GB; "
        "--install-rivals is the same",
    )
    return parser


if __name__ == "__main__":
    main()
