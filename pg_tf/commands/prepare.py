"""`pg-tf prepare`: one subcommand for each kind of source."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pg_tf.commands._common import errors_of, option, with_options

if TYPE_CHECKING:
    from pg_tf.datasets.readers import Reader

app = typer.Typer(
    help="Turns files of molecules into shards for training. Killed at any moment, the same command goes on.",
    no_args_is_help=True,
    add_completion=False,
)


_FILES = inspect.Parameter(
    "files",
    inspect.Parameter.KEYWORD_ONLY,
    annotation=Annotated[list[Path], typer.Argument(help="Files to read; molecules are numbered in this order.")],
)
_ROOT = option("root", Path, ..., help="Folder for the shards.")
_LABEL = option("label", str | None, None, help="Property, column or array with the labels; no labels if left out.")
_UNIT = option(
    *("unit", str, "eV"),
    help="Unit of the labels: meV, hartree, kcal/mol, kJ/mol, cm-1 become eV; 'none': no energies.",
)
_ELEMENTS = option(
    *("elements", list[str] | None, None, "--element"),
    metavar="NAME=SYMBOL",
    help="The element of what the files call their atoms so, as OW=O; may be repeated.",
)
_ALL = (
    option("strict", bool, False, "--strict", help="Stop at the first bad record or odd label."),
    option("workers", int | None, None, min=1, help="Worker processes; one for each core if left out."),
    option("records_per_shard", int | None, None, min=1, help="Records of the source that make one shard."),
)

# By the name of the function in `pg_tf.datasets.readers`: the help, and that function's arguments as options.
_FORMATS: dict[str, tuple[str, tuple[inspect.Parameter, ...]]] = {
    "pcqm4mv2": (
        "PCQM4Mv2: 3.4 million molecules with DFT geometry and HOMO-LUMO gap.",
        (
            option(
                "root",
                Path,
                ...,
                help="Folder with OGB's files, or to download them to. Shards go to `shards` in it.",
            ),
            option("download", bool, True, help="Download missing files by the package ogb."),
            option(
                *("validation", bool, False, "--validation"),
                help="Also the official validation set, with conformers by RDKit.",
            ),
        ),
    ),
    "sdf": ("SDF files with geometries, also .gz, .bz2 and tar.", (_FILES, _ROOT, _LABEL, _UNIT, _ELEMENTS)),
    "smiles": (
        "Tables of SMILES (.csv, .smi, also .gz): geometries by RDKit.",
        (
            _FILES,
            _ROOT,
            option(
                "label",
                str | None,
                None,
                help="Column with the labels; 'xtb' computes the GFN2-xTB gap, a second each.",
            ),
            _UNIT,
            option("smiles_column", str, "smiles", "--column", help="Column with the SMILES."),
            option("seed", int, 0, min=0, max=2**31 - 1, help="Random seed of the conformers."),
        ),
    ),
    "xyz": ("XYZ and extended XYZ files, one molecule a frame.", (_FILES, _ROOT, _LABEL, _UNIT, _ELEMENTS)),
    "mol2": ("Tripos mol2 files, which hold no labels.", (_FILES, _ROOT, _ELEMENTS)),
    "pdbqt": (
        "PDBQT files of AutoDock and Vina, one molecule a model.",
        (
            _FILES,
            _ROOT,
            option("label", str | None, None, help="'affinity' for what Vina writes over each pose, kcal/mol."),
            option("unit", str, "none", help="Unit of the labels; 'none' leaves them as they are."),
            _ELEMENTS,
        ),
    ),
    "qm9": (
        "QM9: dsgdb9nsd.xyz.tar.bz2 as published, or an .npz of it.",
        (_FILES, _ROOT, option("label", str, "gap", help="Property of QM9; energies become eV.")),
    ),
    "npz": ("Flat arrays in .npz files: z, pos, offsets, or Z, R, N.", (_FILES, _ROOT, _LABEL, _UNIT)),
}


def _command(format: str, options: Sequence[inspect.Parameter]) -> Callable[..., None]:
    """The subcommand of a format."""

    def command(**given: Any) -> None:
        with errors_of("prepare"):
            from pg_tf.datasets import readers

            root, how = given.pop("root"), {option.name: given.pop(option.name) for option in _ALL}
            if "unit" in given and not given["label"]:
                given["unit"] = ""
            if "elements" in given:
                given["elements"] = dict(map(_named_element, given["elements"])) if given["elements"] else None
            if format == "pcqm4mv2":
                _run(readers.pcqm4mv2(root, **given), root / "shards", **how)
            else:
                _run(getattr(readers, format)(**given), root, **how)

    return with_options(command, [*options, *_ALL])


def _named_element(text: str) -> tuple[str, str]:
    name, equals, symbol = text.rpartition("=")
    if not (name and equals and symbol):
        raise ValueError(f"--element: must be NAME=SYMBOL such as OW=O, got {text!r}")
    return name, symbol


for _format, (_help, _options) in _FORMATS.items():
    app.command(_format, help=_help)(_command(_format, _options))


def _run(reader: Reader, root: Path, strict: bool, workers: int | None, records_per_shard: int | None) -> None:
    from rich.console import Console

    from pg_tf.datasets.prepare import prepare

    manifest = prepare(reader, root, strict=strict, workers=workers, records_per_shard=records_per_shard, progress=True)
    console = Console(highlight=False, markup=False, soft_wrap=True)
    size = sum(shard.bytes for shard in manifest.shards)
    console.print(
        f"{root}: {manifest.molecules:,} molecules of {manifest.source['records']:,} records, {manifest.atoms:,} "
        f"atoms, in {len(manifest.shards):,} shards of {size / 1e6:.1f} MB together, {size / manifest.atoms:.1f} bytes "
        f"an atom"
    )
    if manifest.label:
        statistics = manifest.label_statistics
        console.print(
            f"label {manifest.label}: mean {statistics['mean']:.4g}, standard deviation {statistics['std']:.4g}, "
            f"{statistics['min']:.4g} to {statistics['max']:.4g} {manifest.unit}"
        )
    for reason, count in manifest.skipped.items():
        console.print(f"skipped {count:,}: {reason}")
    if manifest.skipped:
        console.print(f"{root / 'skipped.txt'} names them all")
    for question in manifest.questions:
        console.print(f"look at this: {question}", style="bold yellow")
