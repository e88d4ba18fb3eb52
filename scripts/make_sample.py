"""Make the sample dataset that pg_tf ships: organic molecules with GFN2-xTB HOMO-LUMO gaps.

Each molecule of `sample_chemistry` gets one ETKDGv3 conformer relaxed with MMFF94s, and as its label the gap
of a GFN2-xTB single point at exactly the coordinates stored. The same versions of RDKit, NumPy and tblite
give the same file.

    python scripts/make_sample.py --jobs 2      make pg_tf/datasets/sample.npz (about ten minutes on one core)
    python scripts/make_sample.py --describe    print the distributions of the file that is there

Sources: ETKDGv3 doi:10.1021/acs.jcim.0c00025, MMFF94s
doi:10.1002/(SICI)1096-987X(199905)20:7<720::AID-JCC7>3.0.CO;2-X, GFN2-xTB doi:10.1021/acs.jctc.8b01176.
"""

import argparse
import collections
import itertools
import multiprocessing
import pathlib
import random
from typing import Any, NamedTuple

import numpy as np
from rdkit import Chem, rdBase
from rdkit.Chem import rdDetermineBonds, rdDistGeom, rdForceFieldHelpers, rdMolDescriptors
from rdkit.Chem.Scaffolds import MurckoScaffold
from sample_chemistry import candidates

from pg_tf.datasets.xtb import homo_lumo_gap

SAMPLE = pathlib.Path(__file__).resolve().parents[1] / "pg_tf" / "datasets" / "sample.npz"
SEED = 2022
NUM_MOLECULES = 4000
SPLITS = {"train": 0.8, "validation": 0.1, "test": 0.1}
LARGEST_SCAFFOLD = 0.08  # share of all molecules
# Above 7 eV (to 14) are saturated molecules: a class of its own that the composition gives away. Below
# 0.5 eV a closed-shell single point means little. The candidates crowd at 2 to 4 eV, so each half eV takes
# only its share.
GAP_RANGE, GAP_BIN, FULLEST_BIN = (0.5, 7.0), 0.5, 0.125
COORDINATE_UNIT = 0.001  # Å


class Record(NamedTuple):
    """One finished molecule; `coords` is int16 [A, 3] in units of COORDINATE_UNIT, `gap` in eV."""

    smiles: str
    atomic_numbers: np.ndarray
    coords: np.ndarray
    gap: float


def record(smiles: str) -> Record | str:
    """Geometry and label of a molecule, or the reason why it has none."""
    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    parameters: Any = rdDistGeom.ETKDGv3()  # RDKit's own stubs know no writable attribute
    parameters.randomSeed = SEED
    if rdDistGeom.EmbedMolecule(molecule, parameters) != 0:
        return "no conformer"
    if rdForceFieldHelpers.MMFFOptimizeMolecule(molecule, mmffVariant="MMFF94s", maxIters=5000) != 0:
        return "MMFF94s did not converge"
    perceived = Chem.Mol(molecule)
    rdDetermineBonds.DetermineConnectivity(perceived)
    if not np.array_equal(Chem.GetAdjacencyMatrix(perceived), Chem.GetAdjacencyMatrix(molecule)):
        return "geometry shows other bonds"
    positions = molecule.GetConformer().GetPositions()
    coords = np.rint((positions - positions.mean(axis=0)) / COORDINATE_UNIT).astype(np.int16)
    atomic_numbers = np.array([atom.GetAtomicNum() for atom in molecule.GetAtoms()], np.uint8)
    try:
        gap = homo_lumo_gap(atomic_numbers, coords * COORDINATE_UNIT)
    except RuntimeError as error:
        return f"GFN2-xTB: {error}"
    Chem.AssignStereochemistryFrom3D(molecule)
    return Record(Chem.MolToSmiles(Chem.RemoveHs(molecule)), atomic_numbers, coords, gap)


def make(path: pathlib.Path, jobs: int) -> None:
    rejected: collections.Counter[str] = collections.Counter()
    left_out: collections.Counter[str] = collections.Counter()
    records: list[Record] = []
    bin_sizes: collections.Counter[int] = collections.Counter()
    stream = candidates(SEED, round(LARGEST_SCAFFOLD * NUM_MOLECULES), rejected)
    with multiprocessing.Pool(jobs) as pool:
        while len(records) < NUM_MOLECULES:
            for result in pool.map(record, itertools.islice(stream, 100), chunksize=5):
                if isinstance(result, str):
                    left_out[result] += 1
                    continue
                gap_bin = int(result.gap / GAP_BIN)
                if not GAP_RANGE[0] <= result.gap < GAP_RANGE[1]:
                    left_out["gap out of range"] += 1
                elif bin_sizes[gap_bin] >= FULLEST_BIN * NUM_MOLECULES:
                    left_out["gap is frequent"] += 1
                else:
                    bin_sizes[gap_bin] += 1
                    records.append(result)
            print(f"{len(records)} of {NUM_MOLECULES} molecules", flush=True)
    print("candidates rejected:", dict(rejected.most_common()))
    print("left out after the label:", dict(left_out.most_common()))
    records = records[:NUM_MOLECULES]
    random.Random(SEED).shuffle(records)
    split_sizes = [round(share * NUM_MOLECULES) for share in SPLITS.values()]
    np.savez_compressed(
        path,
        names=np.array([r.smiles for r in records], np.bytes_),
        atomic_numbers=np.concatenate([r.atomic_numbers for r in records]),
        coords=np.concatenate([r.coords for r in records]),
        coordinate_unit=np.float64(COORDINATE_UNIT),
        num_atoms=np.array([len(r.atomic_numbers) for r in records], np.uint8),
        gap_ev=np.round([r.gap for r in records], 4).astype(np.float32),
        split=np.repeat(np.array(list(SPLITS), np.bytes_), split_sizes),
    )
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")


def describe(path: pathlib.Path) -> None:
    with np.load(path) as data:
        names = [name.decode() for name in data["names"]]
        atomic_numbers, num_atoms, gap = data["atomic_numbers"], data["num_atoms"].astype(int), data["gap_ev"]
        split = data["split"]
    heavy = np.add.reduceat(atomic_numbers > 1, np.cumsum(num_atoms) - num_atoms)
    molecules = [Chem.MolFromSmiles(name) for name in names]
    scaffolds = collections.Counter(MurckoScaffold.MurckoScaffoldSmiles(mol=m) for m in molecules)
    formulas = collections.Counter(rdMolDescriptors.CalcMolFormula(m) for m in molecules)
    distinct = {Chem.MolToSmiles(m, isomericSmiles=False) for m in molecules}
    print(f"{len(names)} molecules, {len(distinct)} distinct without stereochemistry")
    print(f"{len(scaffolds)} Bemis-Murcko scaffolds; {scaffolds['']} molecules without a ring")
    print(f"{len(formulas)} formulas; {sum(n for n in formulas.values() if n > 1)} molecules have isomers")
    for title, values in (("heavy atoms", heavy), ("atoms", num_atoms), ("gap / eV", gap)):
        points = np.percentile(values, (0, 5, 25, 50, 75, 95, 100))
        print(f"{title}: mean {values.mean():.2f}, std {values.std():.2f}, percentiles", *np.round(points, 2))
    for name in SPLITS:
        chosen = gap[split == name.encode()]
        print(f"{name}: {len(chosen)} molecules, gap {chosen.mean():.2f} +- {chosen.std():.2f} eV")
    for symbol in ("C", "H", "N", "O", "S", "F", "Cl", "Br"):
        number = Chem.GetPeriodicTable().GetAtomicNumber(symbol)
        holding = np.add.reduceat(atomic_numbers == number, np.cumsum(num_atoms) - num_atoms)
        print(f"{symbol}: {holding.sum()} atoms, in {np.mean(holding > 0):.1%} of the molecules")
    for low in np.arange(*GAP_RANGE, GAP_BIN):
        count = int(np.sum((gap >= low) & (gap < low + GAP_BIN)))
        print(f"gap {low:.1f}-{low + GAP_BIN:.1f} eV {count:5d} {'#' * (count // 10)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1, help="worker processes")
    parser.add_argument("--output", type=pathlib.Path, default=SAMPLE)
    parser.add_argument("--describe", action="store_true", help="print the distributions of the file instead")
    arguments = parser.parse_args()
    if arguments.describe:
        describe(arguments.output)
    else:
        with rdBase.BlockLogs():  # forked workers inherit the silence
            make(arguments.output, arguments.jobs)
