from __future__ import annotations

import json

import numpy as np
import pytest
import scipy.io
import scipy.signal
import torch

import netvlad
from netvlad.errors import ModelError
from netvlad.pretrained.matconvnet import import_matconvnet, mean_of


@pytest.fixture
def write(tmp_path):
    """write(net) -> a .mat file of it."""

    def to(net: dict, name: str = "net.mat"):
        scipy.io.savemat(tmp_path / name, {"net": net, "opts": {"unused": 1.0}})
        return tmp_path / name

    return to


# -- the same network, evaluated as MatConvNet does: H x W x C in double precision, one layer after the other ---------


def matconvnet(net: dict, image: np.ndarray) -> np.ndarray:
    x = image.astype(np.float64) - net["meta"]["normalization"]["averageImage"][0, 0]
    for layer in net["layers"][0]:
        x = RUN[layer["type"]](layer, x)
    return x.ravel(order="F")


def pads(layer) -> tuple:
    top, bottom, left, right = np.broadcast_to(np.ravel(layer.get("pad", 0)).astype(int), (4,))
    return (top, bottom), (left, right)


def strides(layer) -> tuple:
    return tuple(np.broadcast_to(np.ravel(layer.get("stride", 1)).astype(int), (2,)))


def conv(layer, x):
    filters, biases = (w.astype(np.float64) for w in layer["weights"][0])
    if layer["name"] == "WPCA":
        x = x.reshape(1, 1, -1, order="F")  # what MATLAB's 1 x K x D array is in memory
    (dy, dx), x = strides(layer), np.pad(x, (*pads(layer), (0, 0)))
    depth, out = filters.shape[2:]
    each = out // (x.shape[2] // depth)
    planes = []
    for k in range(out):
        first = (k // each) * depth
        plane = sum(
            scipy.signal.correlate2d(x[:, :, first + c], filters[:, :, c, k], mode="valid") for c in range(depth)
        )
        planes.append(plane[::dy, ::dx] + biases.ravel()[k])
    return np.stack(planes, axis=2)


def pool(layer, x):
    x = np.pad(x, (*pads(layer), (0, 0)), constant_values=-np.inf)
    (height, width), (dy, dx) = np.broadcast_to(np.ravel(layer["pool"]).astype(int), (2,)), strides(layer)
    rows, columns = (x.shape[0] - height) // dy + 1, (x.shape[1] - width) // dx + 1
    return np.array(
        [
            [x[i * dy : i * dy + height, j * dx : j * dx + width].max(axis=(0, 1)) for j in range(columns)]
            for i in range(rows)
        ]
    )


def normalize(layer, x):
    n, kappa, alpha, beta = layer["param"].ravel()
    y = np.empty_like(x)
    for k in range(x.shape[2]):
        low, high = max(0, k - int((n - 1) // 2)), min(x.shape[2] - 1, k + int(-(-(n - 1) // 2)))
        y[:, :, k] = x[:, :, k] / (kappa + alpha * (x[:, :, low : high + 1] ** 2).sum(axis=2)) ** beta
    return y


def custom(layer, x):
    if layer["name"].endswith("L2"):
        flat = x.ravel(order="F")
        return (flat / np.linalg.norm(flat)).reshape(1, 1, -1)
    if "weights" not in layer:
        return x.max(axis=(0, 1), keepdims=True) if layer["name"] == "max:core" else x.mean(axis=(0, 1), keepdims=True)
    arrays = [w.astype(np.float64) for w in layer["weights"][0]]
    w, offset = arrays[0][0, 0], arrays[-1][0, 0]  # D x K both
    scores = np.exp(x @ w + (arrays[1] if len(arrays) == 3 else 0))
    a = scores / scores.sum(axis=2, keepdims=True)
    y = np.zeros((1, w.shape[1], w.shape[0]))  # 1 x K x D
    for k in range(w.shape[1]):
        y[0, k] = (a[:, :, k : k + 1] * (x + offset[:, k])).sum(axis=(0, 1))
    return y


RUN = {
    "conv": conv,
    "pool": pool,
    "normalize": normalize,
    "custom": custom,
    "relu": lambda layer, x: np.maximum(x, 0),
}


def images(n: int = 3) -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    return [rng.integers(0, 256, (19 + 3 * i, 26 - 2 * i, 3), dtype=np.uint8) for i in range(n)]


@pytest.mark.parametrize("groups", [False, True])
@pytest.mark.parametrize(("method", "whiten"), [("vlad", 4), ("vladv2", 5), ("vladv2", 1), ("max", 3), ("avg", 0)])
def test_vectors_are_matconvnets(authors, write, method, whiten, groups):
    net = authors(method, whiten=whiten, groups=groups)
    model = import_matconvnet(write(net))
    for image, vector in zip(images(), model.describe(images()), strict=True):
        np.testing.assert_allclose(vector, matconvnet(net, image), atol=1e-5)
    assert model.dim == (whiten or 6)


def test_without_whitening_the_clusters_come_one_after_the_other(authors, write):
    net = authors(whiten=0)
    (image,) = images(1)
    (vector,) = import_matconvnet(write(net)).describe([image])
    by_cluster = matconvnet(net, image).reshape(3, 6, order="F")
    np.testing.assert_allclose(vector.reshape(3, 6), by_cluster, atol=1e-5)


def test_a_cluster_to_which_nothing_is_assigned_stays_small(authors, write):
    # scaled up to length 1, the direction of a residual of 1e-7 would be a third of the vector
    net = authors("vladv2", whiten=0)
    arrays = net["layers"][0][7]["weights"][0]
    arrays[0], arrays[1] = arrays[0] * 0, np.array([[0, 0, -18]], np.float32)
    (image,) = images(1)
    expected = matconvnet(net, image).reshape(3, 6, order="F")
    near, _, far = np.linalg.norm(expected, axis=1)
    assert 0.01 * near < far < 0.9 * near
    (vector,) = import_matconvnet(write(net)).describe([image])
    np.testing.assert_allclose(vector.reshape(3, 6), expected, atol=1e-4)


def test_grey_photos_are_repeated(authors, write):
    net = authors()
    grey = images(1)[0][:, :, 0]
    (vector,) = import_matconvnet(write(net)).describe([grey])
    np.testing.assert_allclose(vector, matconvnet(net, np.repeat(grey[:, :, None], 3, axis=2)), atol=1e-5)


def test_a_smaller_dimension_is_the_first_numbers(authors, write, tmp_path):
    net = authors(whiten=5)
    folder = import_matconvnet(write(net)).save(tmp_path / "model")
    (image,) = images(1)
    first = matconvnet(net, image)[:2]
    model = netvlad.load(folder, dim=2)
    np.testing.assert_allclose(model.describe([image])[0], first / np.linalg.norm(first), atol=1e-5)


@pytest.mark.parametrize("groups", [False, True])
def test_a_saved_model_is_the_same(authors, write, tmp_path, groups):
    model = import_matconvnet(write(authors(groups=groups)), resize=None, name="theirs")
    again = netvlad.load(model.save(tmp_path / "model"))
    assert (again.name, again.resize, again.identity) == ("theirs", None, model.identity)
    np.testing.assert_array_equal(again.describe(images()), model.describe(images()))
    card = json.loads((tmp_path / "model" / "card.json").read_text())
    assert card["kind"] == "simplenn"
    assert card["weights"]["file"] == "net.mat"
    assert len(card["weights"]["sha256"]) == 64
    assert card["fitted_on"] == {"sessionID": "ab12_pitts30k"}
    assert again.smallest == (2 if not groups else 11)


def test_the_least_size(authors, write):
    model = import_matconvnet(write(authors(groups=True)))
    least = model.smallest
    assert np.isfinite(model.describe([np.zeros((least, least, 3), np.uint8)])).all()
    with pytest.raises(ModelError, match=rf"at least {least} pixels a side, got {least}x{least - 1}"):
        model.describe([np.zeros((least - 1, least, 3), np.uint8)])


def test_undefined_pixels_count_for_nothing(authors, write):
    model = import_matconvnet(write(authors()))
    image = np.concatenate([images(1)[0], np.full((19, 26, 1), 255, np.uint8)], axis=2)
    image[:, :9, 3] = 0
    other = image.copy()
    other[:, :9, :3] = 99
    np.testing.assert_allclose(model.describe([image]), model.describe([other]), atol=1e-6)
    assert not np.allclose(model.describe([image]), model.describe([image[:, :, :3]]), atol=1e-3)


def test_training_can_start_at_a_layer_of_the_file(authors, write):
    from netvlad.training.split import split

    model = import_matconvnet(write(authors()))
    part = split(model.backbone, "conv1_2")
    x = torch.rand(1, 3, 12, 16)
    assert part.below is not None
    torch.testing.assert_close(part.above(part.below(x), (12, 16)), model.backbone(x))
    with pytest.raises(ModelError, match="choose one of conv1_1, conv1_2, conv2_1, pooling"):
        split(model.backbone, "conv9")


def test_files_of_before_beta17(authors, write):
    net = authors()
    for layer in net["layers"][0]:
        if layer["type"] == "conv":
            layer["filters"], layer["biases"] = layer.pop("weights")[0]
    old = {"layers": net["layers"], "normalization": net["meta"]["normalization"]}
    (image,) = images(1)
    new = import_matconvnet(write(authors())).describe([image])
    np.testing.assert_array_equal(import_matconvnet(write(old)).describe([image]), new)


# -- files of another structure ---------------------------------------------------------------------------------------


def layers(net):
    return net["layers"][0]


def without(*names):
    def change(net):
        kept = [layer for layer in layers(net) if layer["name"] not in names]
        net["layers"] = np.empty((1, len(kept)), dtype=object)
        net["layers"][0] = kept

    return change


def setting(place, **fields):
    return lambda net: layers(net)[place].update(fields)


def reshaped(place, array, shape):
    def change(net):
        weights = layers(net)[place]["weights"][0]
        weights[array] = np.zeros(shape, np.float32)

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without("vlad:core"), "layer 9, 'postL2' of type 'custom', is none that can be imported"),
        (setting(1, type="sigmoid"), "layer 2, 'relu1_1' of type 'sigmoid', is none that can be imported"),
        (without("preL2"), "layer 6, 'conv2_1' of type 'conv', does not normalise"),
        (without("vlad:intranorm"), "layer 8, 'vlad:core' of type 'custom', is not followed by the normalisation of e"),
        (without("postL2"), "layer 8, 'vlad:core' of type 'custom', is not followed by the normalisation of the w"),
        (without("finalL2"), "layer 11, 'WPCA' of type 'conv', follows postL2"),
        (setting(3, method="avg"), "layer 4, 'pool1' of type 'pool', pools by 'avg'; only 'max'"),
        (setting(2, dilate=2.0), "layer 3, 'conv1_2' of type 'conv', is dilated"),
        (setting(2, pad=np.ones((1, 3))), "layer 3, 'conv1_2' of type 'conv', has 3 numbers as its pad; 1 or 4"),
        (setting(2, name="conv1_1"), "layer 3, 'conv1_1' of type 'conv', has the name of an earlier layer"),
        (setting(6, param=np.ones((1, 3))), "layer 7, 'preL2' of type 'normalize', has 3 parameters"),
        (reshaped(2, 0, (3, 3, 7, 5)), "layer 3, 'conv1_2' of type 'conv', has filters of 7 channels; its input has"),
        (reshaped(2, 1, (4, 1)), "layer 3, 'conv1_2' of type 'conv', has 4 biases; its 5 filters"),
        (reshaped(7, 0, (1, 1, 5, 3)), "layer 8, 'vlad:core' of type 'custom', has weights of 1x1x5x3; 1x1x6x3"),
        (reshaped(10, 0, (1, 1, 17, 4)), "layer 11, 'WPCA' of type 'conv', has weights of 1x1x17x4, 4x1; 1x1x18xd"),
        (reshaped(10, 0, (1, 1, 18, 4)), "layer 11, 'WPCA' of type 'conv', has biases that no mean explains"),
        (lambda net: net["meta"].pop("normalization"), "averageImage is missing"),
        (lambda net: net.update(layers={"name": "conv1"}), "its `net` has no list of layers"),
        (lambda net: net.update(layers=np.empty((1, 0), dtype=object)), "its `net` has no list of layers"),
    ],
)
def test_another_structure_is_explained(authors, write, change, said):
    net = authors()
    change(net)
    file = write(net)
    with pytest.raises(ModelError) as error:
        import_matconvnet(file)
    assert str(error.value).startswith(f"{file}: ")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_backbone_alone_has_no_pooling(authors, write):
    net = authors("max", whiten=0)
    without("max:core", "postL2")(net)
    with pytest.raises(ModelError, match=r"has no pooling layer after its 6 layers, the last 'conv2_1'"):
        import_matconvnet(write(net))


# -- the mean of a whitening ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("orthogonal", [True, False])
def test_the_mean_gives_the_bias(orthogonal):
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(20, 30)) + 3
    if orthogonal:
        matrix = np.linalg.qr(matrix.T)[0].T * np.geomspace(1, 1000, 20)[:, None]
    true = rng.normal(size=30)
    mean = mean_of(matrix.astype(np.float32), (-matrix @ true).astype(np.float32))
    np.testing.assert_allclose(matrix @ mean, matrix @ true, rtol=1e-4, atol=1e-3)
    assert np.linalg.norm(mean) <= np.linalg.norm(true) + 1e-6


def test_a_bias_that_is_none_of_a_mean():
    assert mean_of(np.array([[1, 2], [2, 4]], np.float32), np.array([1, 0], np.float32)) is None
    assert mean_of(np.zeros((1, 2), np.float32), np.ones(1, np.float32)) is None
