"""Index arrays from a file that torch saved, without torch and without running what is in it."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from typing import Any

import numpy as np
import numpy.typing as npt

_NUMPY = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    *((f"numpy.{core}.multiarray", "_reconstruct") for core in ("core", "_core")),
    *((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
    ("_codecs", "encode"),
    ("collections", "OrderedDict"),
}
_DTYPES = {"LongStorage": "<i8", "IntStorage": "<i4"}


class _Unpickler(pickle.Unpickler):
    """Knows arrays and integer tensors, and refuses everything else."""

    def __init__(self, file: Any, archive: zipfile.ZipFile, folder: str) -> None:
        super().__init__(file)
        self.archive, self.folder = archive, folder

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _NUMPY:
            return super().find_class(module, name)
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, stride, *_: np.lib.stride_tricks.as_strided(
                storage[offset:], shape, [step * storage.itemsize for step in stride]
            ).copy()
        raise pickle.UnpicklingError(f"it holds a {module}.{name}, which is no index")

    def persistent_load(self, key: Any) -> Any:
        _, dtype, name, *_ = key
        return np.frombuffer(self.archive.read(f"{self.folder}/data/{name}"), dtype)


def read_split(path: str | os.PathLike[str]) -> dict[str, npt.NDArray[np.int64]]:
    """Reads OGB's `split_dict.pt`: a dict of index arrays.

    Raises:
      ValueError: if the file does not hold such a dict.
      OSError: if the file cannot be opened.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            name = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
            content = _Unpickler(io.BytesIO(archive.read(name)), archive, name.removesuffix("/data.pkl")).load()
        return {str(part): np.asarray(indices).astype(np.int64) for part, indices in content.items()}
    except (FileNotFoundError, IsADirectoryError, PermissionError):
        raise
    except Exception as error:  # a pickle that is damaged raises anything
        raise ValueError(f"{path} is no split that torch saved: {type(error).__name__}: {error}") from error
