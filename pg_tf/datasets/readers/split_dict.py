"""Index arrays from a file that torch saved, without torch and without running what is in it."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from typing import Any

import numpy as np
import numpy.typing as npt

from pg_tf.formats.limits import TooLarge, largest_file

_DTYPES = {"LongStorage": "<i8", "IntStorage": "<i4"}


class _Array:
    """An array of NumPy's as a pickle describes it: nothing is made before it is known to fit."""

    def __init__(self, shape: Any = (), dtype: Any = None, content: Any = b"") -> None:
        self.shape, self.dtype, self.content = shape, dtype, content

    def __setstate__(self, state: Any) -> None:
        _, self.shape, self.dtype, _, self.content = state

    def array(self) -> npt.NDArray[Any]:
        if not isinstance(self.dtype, _Dtype) or not isinstance(self.content, bytes):
            raise pickle.UnpicklingError("it holds an array of something else than whole numbers")
        values = np.frombuffer(self.content, self.dtype.dtype())
        if tuple(self.shape) != values.shape:
            raise pickle.UnpicklingError(f"it holds an array {self.shape!r} of {len(values)} numbers")
        return values


class _Dtype:
    """A type of whole numbers, as `numpy.dtype("i8", False, True)` and its byte order."""

    def __init__(self, name: Any, *_: Any) -> None:
        self.name, self.order = name, "="

    def __setstate__(self, state: Any) -> None:
        self.order = state[1]

    def dtype(self) -> np.dtype[Any]:
        if self.name not in ("i8", "i4", "u8", "u4") or self.order not in ("<", ">", "=", "|"):
            raise pickle.UnpicklingError(f"it holds numbers of the type {self.name!r}")
        return np.dtype(self.name).newbyteorder(self.order)


def _tensor(storage: Any, offset: Any, shape: Any, stride: Any, *_: Any) -> npt.NDArray[Any]:
    """What `torch._utils._rebuild_tensor_v2` makes: a view of a storage, here a copy of one that lies within it."""
    if not isinstance(storage, np.ndarray) or not all(isinstance(part, tuple) for part in (shape, stride)):
        raise pickle.UnpicklingError("it holds a tensor without a storage")
    if len(shape) != 1 or len(stride) != 1:
        raise pickle.UnpicklingError(f"it holds a tensor {list(shape)}; a part of a split is a list")
    (length,), (step,) = shape, stride
    numbers = (offset, length, step)
    if not all(isinstance(number, int) and 0 <= number <= len(storage) for number in numbers) or (
        length and (step == 0 or offset + (length - 1) * step >= len(storage))
    ):
        raise pickle.UnpicklingError(
            f"it holds a tensor of {length} numbers from {offset} on, each {step} further, and its storage has "
            f"{len(storage)}"
        )
    return storage[offset : offset + (length - 1) * step + 1 : step].copy() if length else storage[:0].copy()


_KNOWN: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("collections", "OrderedDict"): dict,
    ("_codecs", "encode"): lambda text, encoding: text.encode("latin-1"),
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    **{("torch", name): dtype for name, dtype in _DTYPES.items()},
    **{(f"numpy.{core}.multiarray", "_reconstruct"): lambda *_: _Array() for core in ("core", "_core")},
    **{
        (f"numpy.{core}.numeric", "_frombuffer"): lambda content, dtype, shape, order: _Array(
            shape, dtype, bytes(content)
        )
        for core in ("core", "_core")
    },
}


# In Python: the one in C makes room for as many objects as a damaged pickle says.
class _Unpickler(pickle._Unpickler):
    """Knows arrays and integer tensors, and refuses everything else."""

    def __init__(self, content: bytes, archive: zipfile.ZipFile, folder: str) -> None:
        super().__init__(io.BytesIO(content))
        self.archive, self.folder = archive, folder

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _KNOWN[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it holds a {module}.{name}, which is no index") from None

    def persistent_load(self, key: Any) -> Any:
        _, dtype, name, *_ = key
        if dtype not in _DTYPES.values():
            raise pickle.UnpicklingError(f"it holds a storage of {dtype!r}")
        return np.frombuffer(_content(self.archive, f"{self.folder}/data/{name}"), dtype)


def _content(archive: zipfile.ZipFile, name: str) -> bytes:
    if archive.getinfo(name).file_size > largest_file():
        raise TooLarge(name, "file", largest_file())
    return archive.read(name)


def read_split(path: str | os.PathLike[str]) -> dict[str, npt.NDArray[np.int64]]:
    """Reads OGB's `split_dict.pt`: a dict of index arrays.

    Raises:
      ValueError: if the file does not hold such a dict.
      OSError: if the file cannot be opened.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            name = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
            content = _Unpickler(_content(archive, name), archive, name.removesuffix("/data.pkl")).load()
        if not isinstance(content, dict) or not all(isinstance(part, str) for part in content):
            raise pickle.UnpicklingError("it holds no parts by their names")
        arrays = {
            part: indices.array() if isinstance(indices, _Array) else indices for part, indices in content.items()
        }
        if not all(isinstance(indices, np.ndarray) for indices in arrays.values()):
            raise pickle.UnpicklingError("it holds parts that are no arrays")
        return {part: indices.astype(np.int64) for part, indices in arrays.items()}
    except (FileNotFoundError, IsADirectoryError, PermissionError):
        raise
    except Exception as error:  # a pickle that is damaged raises anything
        raise ValueError(f"{path} is no split that torch saved: {type(error).__name__}: {error}") from error
