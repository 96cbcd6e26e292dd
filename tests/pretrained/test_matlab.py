from __future__ import annotations

import sys

import numpy as np
import pytest
import scipy.io

from netvlad.errors import ModelError
from netvlad.pretrained.matconvnet import import_matconvnet
from netvlad.pretrained.matlab import CLASS, read_mat

h5py = pytest.importorskip("h5py", reason="needs h5py: pip install 'netvlad[matlab]'")

# -- a v7.3 file as MATLAB writes it: arrays transposed, cells and texts behind references ----------------------------


def save_v73(path, **variables) -> None:
    with h5py.File(path, "w", userblock_size=512) as file:
        file.create_group("#refs#")
        for name, value in variables.items():
            put(file, name, value)
    with open(path, "r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")


def put(file, name, value):
    if isinstance(value, dict):
        group = file.create_group(name)
        group.attrs["MATLAB_class"] = np.bytes_("struct")
        for key, part in value.items():
            put(file, f"{name}/{key}", part)
        return
    if isinstance(value, str):
        kind, array = "char", np.array([list(map(ord, value))], np.uint16)
    elif np.asarray(value).dtype == object:
        kind, parts = "cell", np.asarray(value)
        array = np.empty(parts.shape, dtype=h5py.ref_dtype)
        for index, part in np.ndenumerate(parts):
            place = f"#refs#/{name.replace('/', '_')}_{'_'.join(map(str, index))}"
            put(file, place, part)
            array[index] = file[place].ref
    else:
        array = np.atleast_2d(value)
        kind = {"f4": "single", "f8": "double", "b1": "logical"}.get(array.dtype.str[1:], str(array.dtype))
        array = array.astype(np.uint8) if kind == "logical" else array
    if array.size:
        file[name] = array.T
    else:
        file[name] = np.array(array.shape, np.uint64)
        file[name].attrs["MATLAB_empty"] = np.uint8(1)
    file[name].attrs["MATLAB_class"] = np.bytes_(kind)


def save_v5(path, **variables) -> None:
    scipy.io.savemat(path, variables)


def cells(*items):
    array = np.empty((len(items) // 2, 2), dtype=object)
    for i, item in enumerate(items):
        array[i // 2, i % 2] = item
    return array


@pytest.mark.parametrize("save", [save_v5, save_v73])
def test_values_of_both_versions_are_alike(tmp_path, save):
    four = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)
    value = {
        "text": "conv1_1",
        "number": 2.0,
        "flag": np.array([[True]]),
        "array": four,
        "empty": np.zeros((0, 0)),
        "list": cells("a", np.array([[1.0, 2]]), {"inner": "b"}, cells(3.0, 4.0)),
        "none": np.empty((0, 0), dtype=object),
    }
    save(tmp_path / "a.mat", net=value, other=1.0)
    found = read_mat(tmp_path / "a.mat", "net")
    assert list(sorted(found)) == sorted(value)
    assert (found["text"], found["number"].item(), found["flag"].item()) == ("conv1_1", 2, 1)
    np.testing.assert_array_equal(found["array"], four)
    assert found["array"].dtype == np.float32
    assert found["empty"].shape == (0, 0)
    assert found["none"] == []
    first, struct, numbers, pair = found["list"]  # column by column, as MATLAB counts
    assert (first, struct, [p.item() for p in pair]) == ("a", {"inner": "b"}, [3, 4])
    np.testing.assert_array_equal(numbers, [[1, 2]])


def test_a_network_is_the_same_from_both_versions(tmp_path, authors):
    net = authors()
    save_v5(tmp_path / "5.mat", net=net)
    save_v73(tmp_path / "73.mat", net=net)
    image = np.random.default_rng(0).integers(0, 256, (20, 24, 3), dtype=np.uint8)
    one, other = (import_matconvnet(tmp_path / name, name="n").describe([image]) for name in ("5.mat", "73.mat"))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("save", [save_v5, save_v73])
def test_a_file_without_the_variable(tmp_path, save):
    save(tmp_path / "a.mat", other=1.0)
    with pytest.raises(ModelError, match=r"a\.mat: holds no struct called 'net'"):
        read_mat(tmp_path / "a.mat", "net")


@pytest.mark.parametrize("content", [b"", b"no MATLAB file at all" * 50, b"\x89HDF\r\n\x1a\nand no more"])
def test_what_is_no_mat_file(tmp_path, content):
    (tmp_path / "a.mat").write_bytes(content)
    with pytest.raises(ModelError, match=r"a\.mat: is not a \.mat file that can be read \("):
        read_mat(tmp_path / "a.mat", "net")


def test_half_a_file(tmp_path, authors):
    save_v5(tmp_path / "a.mat", net=authors())
    data = (tmp_path / "a.mat").read_bytes()
    (tmp_path / "a.mat").write_bytes(data[: len(data) // 2])
    with pytest.raises(ModelError, match=r"a\.mat: is not a \.mat file that can be read \("):
        read_mat(tmp_path / "a.mat", "net")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ModelError, match=r"nowhere\.mat: cannot be read \(No such file or directory\)"):
        read_mat(tmp_path / "nowhere.mat", "net")
    with pytest.raises(ModelError, match="is a folder"):
        read_mat(tmp_path, "net")


# -- objects of MATLAB classes, as the authors' files hold them -------------------------------------------------------


def with_objects(net: dict) -> dict:
    """The custom layers as the objects they are: layerVLAD saves itself as a struct, the others their properties."""
    matio = pytest.importorskip("matio.utils", reason="needs mat-io: pip install 'netvlad[matlab]'")
    layers = net["layers"][0]
    for i, layer in enumerate(layers):
        if layer["type"] != "custom":
            continue
        kind = {"vlad:core": "layerVLAD", "max:core": "layerTotalMaxPool"}.get(layer["name"], "layerWholeL2Normalize")
        layers[i] = matio.MatlabOpaque({"any": layer} if kind == "layerVLAD" else layer, kind)
    return net


@pytest.mark.parametrize("version", ["v7", "v7.3"])
@pytest.mark.parametrize("method", ["vlad", "vladv2", "max"])
def test_objects_are_read_by_mat_io(tmp_path, authors, version, method):
    save_v5(tmp_path / "structs.mat", net=authors(method))
    net = with_objects(authors(method))
    from matio import save_to_mat

    save_to_mat(str(tmp_path / "objects.mat"), {"net": net}, version=version, saveobj_classes=["layerVLAD"])
    assert any(CLASS in layer for layer in read_mat(tmp_path / "objects.mat", "net")["layers"])
    image = np.random.default_rng(0).integers(0, 256, (20, 24, 3), dtype=np.uint8)
    one, other = (import_matconvnet(tmp_path / f"{n}.mat", name="n").describe([image]) for n in ("structs", "objects"))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("version", ["v7", "v7.3"])
def test_objects_of_either_version_without_mat_io(tmp_path, authors, monkeypatch, version):
    net = with_objects(authors())
    from matio import save_to_mat

    save_to_mat(str(tmp_path / "a.mat"), {"net": net}, version=version, saveobj_classes=["layerVLAD"])
    monkeypatch.setitem(sys.modules, "matio", None)
    with pytest.raises(ModelError, match="holds an object of the MATLAB class layerVLAD, and reading those"):
        read_mat(tmp_path / "a.mat", "net")


def test_objects_without_mat_io_are_explained(tmp_path, monkeypatch):
    with h5py.File(tmp_path / "a.mat", "w") as file:
        group = file.create_group("net")
        group.attrs["MATLAB_class"] = np.bytes_("struct")
        group["layer"] = np.zeros((1, 6), np.uint32)
        group["layer"].attrs["MATLAB_class"] = np.bytes_("layerVLAD")
        group["layer"].attrs["MATLAB_object_decode"] = np.int32(3)
    monkeypatch.setitem(sys.modules, "matio", None)
    with pytest.raises(ModelError) as error:
        read_mat(tmp_path / "a.mat", "net")
    assert "holds an object of the MATLAB class layerVLAD" in str(error.value)
    assert "pip install 'netvlad[matlab]'" in str(error.value)
    assert "net.layers{i} = struct(net.layers{i})" in str(error.value)


def test_without_h5py(tmp_path, monkeypatch):
    save_v73(tmp_path / "a.mat", net=1.0)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ModelError, match=r"is a v7\.3 file, and reading those needs h5py: pip install"):
        read_mat(tmp_path / "a.mat", "net")
