"""MATLAB's .mat files as plain Python: structs as dicts, cells as lists, arrays in MATLAB's own shape."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from netvlad.errors import ModelError
from netvlad.runtime.files import refuse_irregular
from netvlad.runtime.mat_files import check_sizes, is_hdf5

CLASS = "MATLAB class"  # the key that an object of a MATLAB class has, and a struct has not


def read_mat(path: Path, variable: str) -> Any:
    """One variable of a .mat file of version 5, 7 or 7.3.

    A 1x1 struct becomes a dict, a cell array a list (in MATLAB's order), text a str, a number array an ndarray in
    MATLAB's shape, which lacks trailing dimensions of 1. An object of a class becomes the dict of its properties, with
    the name of its class under `CLASS`; function handles and struct arrays become None.
    Raises ModelError where the file cannot be read or has no such variable.
    """
    refuse_irregular(path, error=ModelError)
    try:
        found = (_hdf5 if is_hdf5(path) else _v5)(path, variable)
    except _Objects as e:
        found = _with_objects(path, variable, str(e))
    except (ModelError, MemoryError):
        raise
    except Exception as e:  # scipy, HDF5 and zlib each have their own
        raise ModelError(f"is not a .mat file that can be read ({type(e).__name__}: {e})", path=path) from e
    if found is None:
        raise ModelError(f"holds no struct called {variable!r}", path=path)
    return found


_OPEN = object()


class _Objects(Exception):
    """The file holds objects of MATLAB classes, whose properties neither scipy nor HDF5 gives."""


# -- version 5 (and 7, which is the same, compressed) ---------------------------------------------------------------


def _v5(path: Path, variable: str) -> Any:
    from scipy.io import loadmat

    check_sizes(path)
    return _plain(loadmat(path, variable_names=[variable]).get(variable))


def _plain(value: Any) -> Any:
    """A value of scipy or mat-io as plain Python."""
    from scipy.io.matlab import MatlabFunction, MatlabObject, MatlabOpaque

    if isinstance(value, MatlabOpaque):
        raise _Objects(_class_name(value))
    # an object of mat-io, which may be absent; its property `any` is what saveobj returned
    if hasattr(value, "classname") and hasattr(value, "properties"):
        properties = dict(value.properties)
        saved = _plain(properties.pop("any", None))
        plain = {key: _plain(part) for key, part in properties.items()}
        return {**plain, **(saved if isinstance(saved, dict) else {}), CLASS: value.classname}
    if not isinstance(value, np.ndarray) or isinstance(value, MatlabFunction | MatlabObject):
        return None
    if value.dtype.names:
        return {key: _plain(value[key].item()) for key in value.dtype.names} if value.size == 1 else None
    if value.dtype == object:
        return [_plain(part) for part in value.ravel(order="F")]
    if value.dtype.kind in "US":
        return "".join(value.ravel().tolist())
    return value


def _class_name(value: np.ndarray) -> str:
    parts = [value[name].item() for name in (value.dtype.names or ())]
    texts = [part.decode(errors="replace") for part in parts if isinstance(part, bytes)]
    return next((text for text in reversed(texts) if text.isidentifier() and text != "MCOS"), "unknown")


def _with_objects(path: Path, variable: str, name: str) -> Any:
    try:
        from matio import load_from_mat
    except ImportError as e:
        raise ModelError(
            f"holds an object of the MATLAB class {name}, and reading those needs mat-io (Python 3.11 or newer): "
            "pip install 'netvlad[matlab]'. Or turn them into structs in MATLAB: "
            "for i = 1:numel(net.layers), net.layers{i} = struct(net.layers{i}); end",
            path=path,
        ) from e
    try:
        return _plain(load_from_mat(str(path), raw_data=True, variable_names=[variable]).get(variable))
    except Exception as e:
        raise ModelError(f"mat-io cannot read its object of class {name} ({type(e).__name__}: {e})", path=path) from e


# -- version 7.3: HDF5, with arrays transposed, and cells and struct arrays as references ---------------------------


def _hdf5(path: Path, variable: str) -> Any:
    try:
        import h5py
    except ImportError as e:
        raise ModelError(
            "is a v7.3 file, and reading those needs h5py: pip install 'netvlad[matlab]'", path=path
        ) from e
    check_sizes(path)
    with h5py.File(path, "r") as file:
        return _of_hdf5(file, file[variable], {}) if variable in file else None


def _of_hdf5(file: Any, item: Any, known: dict[int, Any]) -> Any:
    """An item as plain Python. known: address -> value of the items before, `_OPEN` of those that this one is in."""
    import h5py

    address = h5py.h5o.get_info(item.id).addr
    if address not in known:
        known[address] = _OPEN
        known[address] = _of_new(file, item, known)
    if known[address] is _OPEN:
        raise ValueError(f"{item.name} holds itself")
    return known[address]


def _of_new(file: Any, item: Any, known: dict[int, Any]) -> Any:
    import h5py

    kind = item.attrs.get("MATLAB_class", b"").decode()
    if "MATLAB_object_decode" in item.attrs and kind not in ("char", "logical"):
        if item.attrs["MATLAB_object_decode"] == 3:
            raise _Objects(kind)
        return None  # a function handle, or an object of before 2008
    if isinstance(item, h5py.Group):
        return {key: _of_hdf5(file, part, known) for key, part in item.items()} if kind == "struct" else None
    if item.attrs.get("MATLAB_empty", 0):  # then its shape is stored
        shape = tuple(int(n) for n in item[()])
        if np.prod(shape, dtype=object):
            raise ValueError(f"{item.name} is empty and of {shape}")
        return {"cell": [], "char": "", "struct": None}.get(kind, np.zeros(shape))
    values = item[()].T
    if kind == "cell":
        return [_of_hdf5(file, file[reference], known) for reference in values.ravel(order="F")]
    if kind == "char":
        return "".join(map(chr, values.ravel(order="F")))
    return values if values.dtype.kind in "biuf" else None
