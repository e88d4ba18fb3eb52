"""What networks on grids are compared with: kernel ridge on descriptors of molecules, fitted in seconds to minutes.

Each function takes the molecules to train on, to validate on and to test on, all with labels, and returns predictions
of the last, in the unit of the labels. What a method leaves open (widths, ridge) is what does best on the validation
molecules.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, combinations_with_replacement, pairwise

import numpy as np
import numpy.typing as npt
import scipy.linalg
import scipy.sparse
from scipy.spatial.distance import cdist

from pg_tf.datasets import Molecules

Array = npt.NDArray[np.float64]
# Kernels [train, train], [validation, train] and [test, train].
_Kernels = tuple[Array, Array, Array]

_RIDGES = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)


def fingerprints(train: Molecules, validation: Molecules, test: Molecules) -> Array:
    """Kernel ridge with the Tanimoto kernel on Morgan fingerprints: sees bonds, no geometry.

    Counts of environments of up to two bonds (Rogers and Hahn 2010, doi:10.1021/ci100050t), by RDKit. The kernel is the
    sum of the smaller counts over the sum of the larger ones (Ralaivola et al. 2005, doi:10.1016/j.neunet.2005.07.009).

    Raises:
      ValueError: if the names of the molecules are not SMILES, from which bonds are read.
    """
    from rdkit import Chem, rdBase
    from rdkit.Chem import rdFingerprintGenerator

    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2)
    with rdBase.BlockLogs():
        parsed = [[Chem.MolFromSmiles(name) for name in part.names] for part in (train, validation, test)]
    if any(molecule is None for part in parsed for molecule in part) or not all(parsed):
        raise ValueError("names: fingerprints need the bonds, and the names of these molecules are not SMILES")
    counts = [[generator.GetSparseCountFingerprint(m).GetNonzeroElements() for m in part] for part in parsed]
    # A count c as c ones: products of rows are then sums of the smaller counts.
    columns: dict[tuple[int, int], int] = {}
    rows = []
    for part in counts:
        places = [
            [columns.setdefault((bit, one), len(columns)) for bit, count in found.items() for one in range(count)]
            for found in part
        ]
        rows.append(places)
    matrices = [_ones(places, len(columns)) for places in rows]
    sizes = [np.asarray(matrix.sum(axis=1)).ravel() for matrix in matrices]

    def kernel(i: int) -> Array:
        smaller = np.asarray((matrices[i] @ matrices[0].T).todense(), np.float64)
        return smaller / (sizes[i][:, None] + sizes[0] - smaller)

    return _kernel_ridge([(kernel(0), kernel(1), kernel(2))], train, validation)


def distances(train: Molecules, validation: Molecules, test: Molecules) -> Array:
    """Kernel ridge with the Laplacian kernel on distances between atoms: sees pairs, no angles.

    For each two elements a histogram of the distances between their atoms, to 6 Å, smeared by 0.1 Å, and the number of
    atoms of each element, all for each atom: the two-body terms of Huo and Rupp (2022, doi:10.1088/2632-2153/aca005).
    """
    elements = np.unique(np.concatenate([train.atomic_numbers, validation.atomic_numbers, test.atomic_numbers]))
    features = [_distance_histograms(part, elements.tolist()) for part in (train, validation, test)]
    seen = features[0].any(axis=0)
    return _kernel_ridge(_laplacians([part[:, seen] for part in features], (0.5, 1.0, 2.0)), train, validation)


def soap(train: Molecules, validation: Molecules, test: Molecules) -> Array:
    """Kernel ridge on SOAP vectors averaged over the atoms: sees distances and angles. Needs the extra `study`.

    SOAP (Bartók et al. 2013, doi:10.1103/PhysRevB.87.184115) by DScribe, in three resolutions.

    Raises:
      ImportError: if DScribe is not installed.
    """
    best: tuple[float, Array] = (np.inf, np.zeros(0))
    for cutoff, radial, degree, sigma in ((4.0, 4, 3, 0.5), (5.0, 6, 4, 0.5), (4.0, 8, 6, 0.3)):
        features = _soap_vectors((train, validation, test), cutoff, radial, degree, sigma)
        kernels = chain(
            _laplacians(features, (0.1, 0.3, 1.0)), _laplacians(features, (0.03, 0.1, 0.3), metric="sqeuclidean")
        )
        best = min(best, _best_kernel_ridge(kernels, train, validation), key=lambda found: found[0])
    return best[1]


def _laplacians(features: Sequence[Array], widths: Sequence[float], metric: str = "cityblock") -> Iterator[_Kernels]:
    """exp(-width d) with the distances d in units of their median; Gaussian kernels by the metric "sqeuclidean"."""
    apart = [cdist(part, features[0], metric) for part in features]
    scale = np.median(apart[0][:: max(1, len(apart[0]) // 200)])
    for width in widths:
        among, to_validation, to_test = (np.exp(-width / scale * distance) for distance in apart)
        yield among, to_validation, to_test


def _kernel_ridge(kernels: Iterable[_Kernels], train: Molecules, validation: Molecules) -> Array:
    return _best_kernel_ridge(kernels, train, validation)[1]


def _best_kernel_ridge(kernels: Iterable[_Kernels], train: Molecules, validation: Molecules) -> tuple[float, Array]:
    """The least error on the validation molecules, and the predictions of the test molecules that go with it."""
    assert train.labels is not None
    assert validation.labels is not None
    labels = train.labels.astype(np.float64)
    centre = labels.mean()
    best: tuple[float, Array] = (np.inf, np.zeros(0))
    for among, to_validation, to_test in kernels:
        for ridge in _RIDGES:
            regular = among.copy()
            regular[np.diag_indices_from(regular)] += ridge
            try:
                weights = scipy.linalg.solve(regular, labels - centre, assume_a="pos", overwrite_a=True)
            except np.linalg.LinAlgError:
                continue  # too small a ridge for this kernel
            error = float(np.abs(to_validation @ weights + centre - validation.labels).mean())
            if error < best[0]:
                best = (error, to_test @ weights + centre)
    return best


def _ones(places: Sequence[Sequence[int]], width: int) -> scipy.sparse.csr_matrix:
    """A sparse matrix with ones at these columns of each row."""
    ends = np.cumsum([0, *map(len, places)])
    columns = np.concatenate([np.asarray(row, np.int64) for row in places])
    return scipy.sparse.csr_matrix((np.ones(len(columns)), columns, ends), (len(places), width))


def _distance_histograms(molecules: Molecules, elements: Sequence[int]) -> Array:
    centres = np.arange(0.8, 6.01, 0.2)
    place = {pair: row for row, pair in enumerate(combinations_with_replacement(range(len(elements)), 2))}
    row_of = np.array([[place[min(i, j), max(i, j)] for j in range(len(elements))] for i in range(len(elements))])
    features = []
    for a, b in pairwise(molecules.row_splits):
        kinds = np.searchsorted(elements, molecules.atomic_numbers[a:b])
        coords = molecules.coords[a:b].astype(np.float64)
        first, second = np.triu_indices(b - a, 1)
        apart = np.linalg.norm(coords[first] - coords[second], axis=1)[:, None]
        histograms = np.zeros((len(place), len(centres)))
        np.add.at(histograms, row_of[kinds[first], kinds[second]], np.exp(-0.5 * ((apart - centres) / 0.1) ** 2))
        counts = np.bincount(kinds, minlength=len(elements))
        features.append(np.concatenate([4 * counts, histograms.ravel()]) / (b - a))
    return np.array(features)


def _soap_vectors(parts: Sequence[Molecules], cutoff: float, radial: int, degree: int, sigma: float) -> list[Array]:
    from ase import Atoms
    from dscribe.descriptors import SOAP

    species = sorted({int(z) for part in parts for z in np.unique(part.atomic_numbers)})
    soap = SOAP(species=species, r_cut=cutoff, n_max=radial, l_max=degree, sigma=sigma)
    return [
        np.array(
            [
                soap.create(Atoms(part.atomic_numbers[a:b], part.coords[a:b].astype(np.float64))).mean(axis=0)
                for a, b in pairwise(part.row_splits)
            ],
            np.float64,
        )
        for part in parts
    ]


RIVALS: Mapping[str, Callable[[Molecules, Molecules, Molecules], Array]] = {
    "kernel ridge on fingerprints": fingerprints,
    "kernel ridge on distances": distances,
    "kernel ridge on SOAP": soap,
}
"""By the name for tables."""
