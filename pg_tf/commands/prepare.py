"""`pg-tf prepare`: one subcommand for each kind of source."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pg_tf.commands import errors_of

if TYPE_CHECKING:
    from pg_tf.datasets.readers import Recipe

app = typer.Typer(
    help="Molecules from files, as shards that a training reads fast. Killed at any moment, the same command goes on.",
    no_args_is_help=True,
)

Files = Annotated[list[Path], typer.Argument(help="In the order in which their molecules are numbered.")]
Root = Annotated[Path, typer.Option(help="Folder for the shards.")]
Label = Annotated[str | None, typer.Option(help="Property, column or array with the labels; none if left out.")]
Unit = Annotated[
    str, typer.Option(help="Of the labels. meV, hartree, kcal/mol, kJ/mol, cm-1 become eV; 'none': no energy.")
]
Strict = Annotated[bool, typer.Option("--strict", help="Stop at the first bad record or odd label.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes; one a core if left out.")]
PerShard = Annotated[int | None, typer.Option(min=1, help="Records of the source that make one shard.")]


@app.command()
def pcqm4mv2(
    root: Annotated[Path, typer.Option(help="Folder with OGB's files, or for them; the shards go to its `shards`.")],
    download: Annotated[bool, typer.Option(help="Download through ogb what is missing.")] = True,
    validation: Annotated[
        bool, typer.Option("--validation", help="Also the official validation set, with conformers by RDKit.")
    ] = False,
    strict: Strict = False,
    workers: Workers = None,
    records_per_shard: PerShard = None,
) -> None:
    """PCQM4Mv2: 3.4 million molecules with DFT geometry and HOMO-LUMO gap."""
    with errors_of("prepare"):
        from pg_tf.datasets.readers import pcqm4mv2 as recipe

        found = recipe(root, download=download, validation=validation)
        _run(found, root / "shards", strict, workers, records_per_shard)


@app.command()
def sdf(
    files: Files,
    root: Root,
    label: Label = None,
    unit: Unit = "eV",
    strict: Strict = False,
    workers: Workers = None,
    records_per_shard: PerShard = None,
) -> None:
    """SDF files with geometries, also .gz, .bz2 and tar."""
    with errors_of("prepare"):
        from pg_tf.datasets.readers import sdf as recipe

        _run(recipe(files, label, unit if label else ""), root, strict, workers, records_per_shard)


@app.command()
def smiles(
    files: Files,
    root: Root,
    label: Annotated[str | None, typer.Option(help="Column; 'xtb' computes the GFN2-xTB gap, a second each.")] = None,
    unit: Unit = "eV",
    column: Annotated[str, typer.Option(help="With the SMILES.")] = "smiles",
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Of the conformers.")] = 0,
    strict: Strict = False,
    workers: Workers = None,
    records_per_shard: PerShard = None,
) -> None:
    """Tables of SMILES (.csv, .smi, also .gz): geometries by RDKit."""
    with errors_of("prepare"):
        from pg_tf.datasets.readers import smiles as recipe

        _run(
            recipe(files, label, unit if label else "", column, seed),
            root,
            strict,
            workers,
            records_per_shard,
        )


@app.command()
def xyz(
    files: Files,
    root: Root,
    label: Label = None,
    unit: Unit = "eV",
    strict: Strict = False,
    workers: Workers = None,
    records_per_shard: PerShard = None,
) -> None:
    """XYZ and extended XYZ files, one molecule a frame."""
    with errors_of("prepare"):
        from pg_tf.datasets.readers import xyz as recipe

        _run(recipe(files, label, unit if label else ""), root, strict, workers, records_per_shard)


@app.command()
def qm9(
    files: Files,
    root: Root,
    label: Annotated[str, typer.Option(help="Property of QM9; energies become eV.")] = "gap",
    strict: Strict = False,
    workers: Workers = None,
    records_per_shard: PerShard = None,
) -> None:
    """QM9: dsgdb9nsd.xyz.tar.bz2 as published, or an .npz of it."""
    with errors_of("prepare"):
        from pg_tf.datasets.readers import qm9 as recipe

        _run(recipe(files, label), root, strict, workers, records_per_shard)


@app.command()
def npz(
    files: Files,
    root: Root,
    label: Label = None,
    unit: Unit = "eV",
    strict: Strict = False,
    workers: Workers = None,
    records_per_shard: PerShard = None,
) -> None:
    """Flat arrays in .npz files: z, pos, offsets, or Z, R, N."""
    with errors_of("prepare"):
        from pg_tf.datasets.readers import npz as recipe

        _run(recipe(files, label, unit if label else ""), root, strict, workers, records_per_shard)


def _run(recipe: Recipe, root: Path, strict: bool, workers: int | None, records_per_shard: int | None) -> None:
    from rich.console import Console

    from pg_tf.datasets.prepare import prepare

    manifest = prepare(recipe, root, strict=strict, workers=workers, records_per_shard=records_per_shard, progress=True)
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
