from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file, save_file

import netvlad
from netvlad.describe import base
from netvlad.describe.backbone import Backbone
from netvlad.describe.fit import fit
from netvlad.describe.network import NetworkDescriber
from netvlad.errors import ImageError, ModelError
from netvlad.images.read import read_image
from netvlad.runtime.artifacts import digest

POOLINGS = {"max": 192, "avg": 192, "gem": 192, "vlad": 4 * 192, "netvlad": 4 * 192, "netvlad2": 4 * 192}


@pytest.fixture
def make(weights, photos):
    """make(pooling) -> a fitted model of test_resnet with 4 centres."""

    def model(pooling: str = "netvlad", *, fitted: bool = True, whiten: int | None = None, **options):
        found = netvlad.load(f"test_resnet-{pooling}", clusters=4, **options)
        return fit(found, photos(14, seed=100), whiten=whiten, workers=0) if fitted else found

    return model


@pytest.fixture
def mixed(photos) -> list[str]:
    sizes = [(96, 72), (64, 64), (96, 72), (48, 80), (64, 64), (96, 72)]
    return [photos(1, size, seed=i)[0] for i, size in enumerate(sizes)]


# -- vectors --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pooling", POOLINGS)
def test_vectors_are_of_unit_length_and_do_not_depend_on_company(make, mixed, pooling):
    model = make(pooling)
    vectors = model.describe(mixed)
    assert model.dim == POOLINGS[pooling]
    assert vectors.shape == (6, model.dim)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors.astype(np.float64), axis=1), 1, atol=1e-5)
    for path, vector in zip(mixed, vectors, strict=True):
        np.testing.assert_allclose(model.describe([path])[0], vector, atol=1e-5)
    np.testing.assert_allclose(model.describe(mixed[::-1]), vectors[::-1], atol=1e-5)
    assert len(np.unique(vectors.round(4), axis=0)) == 6


def test_max_pooling_by_hand(make, mixed):
    model = make("max")
    for path, vector in zip(mixed, model.describe(mixed), strict=True):
        pixels = read_image(path).astype(np.float64).transpose(2, 0, 1) / 255
        x = (pixels - np.reshape(model.backbone.mean, (3, 1, 1))) / np.reshape(model.backbone.std, (3, 1, 1))
        with torch.no_grad():
            maps = model.backbone(torch.from_numpy(x[None]).float())[0]
        largest = maps.flatten(1).max(dim=1).values.numpy()
        np.testing.assert_allclose(vector, largest / np.linalg.norm(largest), atol=1e-5)


def test_prepare_by_hand(make):
    model = make("max", fitted=False)
    model.backbone.mean, model.backbone.std = (123.68 / 255, 116.779 / 255, 103.939 / 255), (1 / 255, 1 / 255, 0.5)
    images = np.array([[[[0, 0, 0], [255, 128, 51]]]], dtype=np.uint8)
    x = model.prepare(images)
    assert x.shape == (1, 3, 1, 2)
    expected = [[[-123.68, 255 - 123.68]], [[-116.779, 128 - 116.779]], [[-103.939 / 127.5, (51 - 103.939) / 127.5]]]
    np.testing.assert_allclose(x[0].cpu(), expected, rtol=1e-5)
    assert images.max() == 255  # the photos are left as they were


def test_whatever_read_image_takes(make, mixed):
    model = make("max")
    array = read_image(mixed[0])
    with Image.open(mixed[0]) as image:
        vectors = model.describe([mixed[0], Path(mixed[0]), Path(mixed[0]).read_bytes(), array, image])
    np.testing.assert_allclose(vectors, np.repeat(vectors[:1], 5, axis=0), atol=1e-6)
    grey = model.describe([array[..., 0], np.repeat(array[..., :1], 3, axis=2)])
    np.testing.assert_array_equal(grey[0], grey[1])


def test_no_photos(make):
    assert make("max").describe([]).shape == (0, 192)


def test_a_photo_that_cannot_be_read(make, mixed, tmp_path):
    with pytest.raises(ImageError, match=r"nowhere\.jpg: no such file"):
        make("max").describe([mixed[0], tmp_path / "nowhere.jpg"])


def test_a_photo_that_is_too_small(make):
    with pytest.raises(ModelError, match="at least 16 pixels a side, got 40x15"):
        make("max").describe([np.zeros((15, 40, 3), dtype=np.uint8)])


@pytest.mark.parametrize("pooling", ["max", "avg", "gem", "vlad", "netvlad", "netvlad2"])
def test_a_black_photo_has_a_vector(make, pooling):
    (vector,) = make(pooling).describe([np.zeros((64, 64, 3), dtype=np.uint8)])
    assert np.isfinite(vector).all()
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_photos_are_scaled_down(make, photos):
    (path,) = photos(1, (400, 300))
    small, none = make("max", resize=100), make("max", resize=None)
    np.testing.assert_array_equal(small.describe([path]), none.describe([read_image(path, resize=100)]))
    assert np.abs(small.describe([path]) - none.describe([path])).max() > 1e-3
    assert make("max").resize == 640


def test_a_forward_pass_takes_no_more_than_fits(make, mixed, monkeypatch):
    model = make("max")
    expected = model.describe(mixed)
    seen = []
    hook = model.backbone.register_forward_pre_hook(lambda m, args: seen.append(tuple(args[0].shape)))
    for budget, shapes in (
        (2 * 96 * 72, [(2, 3, 72, 96), (1, 3, 72, 96), (2, 3, 64, 64), (1, 3, 80, 48)]),
        (1, [(1, 3, 72, 96)] * 3 + [(1, 3, 64, 64)] * 2 + [(1, 3, 80, 48)]),  # one at least
    ):
        monkeypatch.setattr(base, "PIXELS_AT_ONCE", {"cpu": budget, "cuda": budget})
        seen.clear()
        np.testing.assert_allclose(model.describe(mixed), expected, atol=1e-5)
        assert seen == shapes
    hook.remove()


def test_describing_leaves_no_graph_but_training_does(make, mixed):
    model = make("netvlad")
    model.describe(mixed)
    out = model(model.prepare(np.zeros((1, 64, 64, 3), dtype=np.uint8)))
    out.sum().backward()
    assert model.pooling.centres.grad.abs().max() > 0


def test_describing_amid_training_is_the_same_and_changes_nothing(make, mixed):
    model = make("netvlad")
    vectors, identity = model.describe(mixed), model.identity
    model.train()
    model.backbone.body.layer1.eval()  # as a trainer freezes it
    modes = [module.training for module in model.modules()]
    np.testing.assert_allclose(model.describe(mixed), vectors, atol=1e-6)
    with pytest.raises(ImageError):
        model.describe([b"no photo"])
    assert [module.training for module in model.modules()] == modes
    assert model.identity == identity


# -- undefined pixels -----------------------------------------------------------------------------------------------


def view(path: str, seed: int = 0) -> np.ndarray:
    """The photo with a hole over about a third of it and noise under the mask, (H, W, 4)."""
    pixels = read_image(path)
    rng = np.random.default_rng(seed)
    height, width = pixels.shape[:2]
    alpha = np.full((height, width), 255, dtype=np.uint8)
    alpha[height // 8 : height // 2, width // 4 :] = 0
    alpha[rng.random((height, width)) < 0.01] = 0
    noise = rng.integers(0, 256, pixels.shape, dtype=np.uint8)
    return np.dstack([np.where(alpha[..., None] == 0, noise, pixels), alpha])


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("resize", [640, 70])
def test_what_lies_under_the_mask_changes_nothing(make, mixed, tmp_path, pooling, resize):
    model = make(pooling, resize=resize)
    assert model.takes_masks
    vectors = []
    for seed in (0, 1):
        pixels = view(mixed[0])
        hidden = pixels[..., 3] == 0
        pixels[hidden, :3] = np.random.default_rng(seed).integers(0, 256, (hidden.sum(), 3))
        Image.fromarray(pixels).save(tmp_path / "view.png")
        Image.fromarray(pixels).save(tmp_path / "view.webp", lossless=True)
        vectors.append(model.describe([pixels, tmp_path / "view.png", tmp_path / "view.webp"]))
        for vector in vectors[-1]:
            np.testing.assert_array_equal(vector, vectors[-1][0])
    np.testing.assert_array_equal(vectors[0], vectors[1])
    assert np.abs(vectors[0][0] - model.describe(mixed[:1])[0]).max() > 1e-3


@pytest.mark.parametrize("pooling", POOLINGS)
def test_masked_vectors_are_of_unit_length_and_do_not_depend_on_company(make, mixed, pooling):
    model = make(pooling)
    images = [thing for i, path in enumerate(mixed) for thing in (path, view(path, i))]
    vectors = model.describe(images)
    np.testing.assert_allclose(np.linalg.norm(vectors.astype(np.float64), axis=1), 1, atol=1e-5)
    for image, vector in zip(images, vectors, strict=True):
        np.testing.assert_allclose(model.describe([image])[0], vector, atol=1e-5)
    np.testing.assert_array_equal(vectors[::2], model.describe(mixed))  # to the last bit as without masked company


def test_masked_pooling_by_hand(make, mixed):
    model = make("max")
    for path in mixed:
        pixels = view(path)
        filled = read_image(pixels, alpha=True)
        with torch.no_grad():
            maps = model.backbone(model.prepare(filled[None, ..., :3]))[0].numpy()
        height, width = pixels.shape[:2]
        _, h, w = maps.shape
        left = []
        for i in range(h):
            for j in range(w):
                rows = slice(i * height // h, -(-(i + 1) * height // h))
                cell = pixels[rows, j * width // w : -(-(j + 1) * width // w), 3]
                if (cell == 0).mean() <= 0.25:
                    left.append(maps[:, i, j])
        assert 0 < len(left) < h * w
        largest = np.max(left, axis=0)
        np.testing.assert_allclose(model.describe([pixels])[0], largest / np.linalg.norm(largest), atol=1e-5)


def test_prepare_of_masked_photos(make):
    model = make("max", fitted=False)
    images = np.array([[[[10, 20, 30, 255], [40, 50, 60, 0]]]], dtype=np.uint8)
    x = model.prepare(images)
    torch.testing.assert_close(x[:, :3], model.prepare(images[..., :3]), rtol=0, atol=0)
    assert x[0, 3].tolist() == [[1.0, 0.0]]


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_photo_of_which_nothing_is_defined_is_a_grey_one(make, pooling):
    model = make(pooling)
    nothing = np.random.default_rng(0).integers(0, 256, (64, 64, 4), dtype=np.uint8)
    nothing[..., 3] = 0
    grey = np.full((64, 64, 3), 128, dtype=np.uint8)
    vector, expected = model.describe([nothing, grey])
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(vector, expected, atol=1e-5)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_photo_without_any_location_that_counts_is_taken_as_filled(make, mixed, pooling):
    pixels = np.dstack([read_image(mixed[0]), np.full((72, 96), 255, dtype=np.uint8)])
    pixels[::2, :, 3] = 0  # half of every cell
    model = make(pooling)
    vector, expected = model.describe([pixels, read_image(pixels, alpha=True)[..., :3]])
    np.testing.assert_allclose(vector, expected, atol=1e-5)


@pytest.mark.parametrize("size", [(64, 64), (75, 90)])
def test_masks_fit_a_backbone_of_patches(size):
    backbone = Backbone("test_vit")  # scales to whole patches of 16
    backbone.crop()
    model = NetworkDescriber(backbone, "max")
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 4), dtype=np.uint8)
    pixels[..., 3] = 255
    pixels[: size[0] // 2, : size[1] // 2, 3] = 0
    filled = read_image(pixels, alpha=True)
    maps, mask = model.maps(model.prepare(filled[None]))
    assert maps.shape[2:] == mask.shape[2:]
    h, w = maps.shape[2:]
    hidden = torch.zeros(h, w, dtype=bool)
    hidden[: round(h / 2 - 0.1), : round(w / 2 - 0.1)] = True
    assert not mask[0, 0][hidden].any()
    assert mask.sum() > 0.6 * h * w
    left = maps[0][:, mask[0, 0] == 1].amax(dim=1).detach().cpu().numpy()
    np.testing.assert_allclose(model.describe([pixels])[0], left / np.linalg.norm(left), atol=1e-5)


def test_training_takes_masked_photos_too(make, mixed):
    model = make("netvlad")
    x = model.prepare(read_image(view(mixed[0]), alpha=True)[None])
    model(x).sum().backward()
    assert torch.isfinite(model.pooling.centres.grad).all()
    assert model.pooling.centres.grad.abs().max() > 0


# -- readiness ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("pooling", "ready"), [("max", True), ("gem", True), ("vlad", False), ("netvlad", False)])
def test_ready_once_there_are_centres(make, pooling, ready):
    assert make(pooling, fitted=False).ready is ready
    assert make(pooling).ready


@pytest.mark.parametrize("pooling", ["vlad", "netvlad", "netvlad2"])
def test_without_centres_nothing_is_described_or_saved(make, mixed, tmp_path, pooling):
    model = make(pooling, fitted=False)
    with pytest.raises(ModelError, match="no cluster centres yet"):
        model.describe(mixed)
    with pytest.raises(ModelError, match=f"test_resnet-{pooling} has no cluster centres yet"):
        model.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()


# -- whitened and cut -----------------------------------------------------------------------------------------------


def test_cut_after_whitening(make, mixed):
    model = make("netvlad", whiten=8)
    full = model.describe(mixed)
    assert full.shape == (6, 8)
    cut = model.crop(3)
    assert cut.dim == 3
    expected = full[:, :3] / np.linalg.norm(full[:, :3], axis=1, keepdims=True)
    np.testing.assert_allclose(cut.describe(mixed), expected, atol=1e-5)
    with pytest.raises(ModelError, match="cannot be cropped to 4"):
        cut.crop(4)


def test_what_is_not_whitened_is_not_cut(make):
    with pytest.raises(ModelError, match="test_resnet-max is not whitened, so its 192 numbers cannot be cut to 5"):
        make("max").crop(5)


# -- saved and loaded -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("whiten", [None, 5])
def test_a_saved_model_makes_the_same_vectors(make, mixed, tmp_path, monkeypatch, pooling, whiten):
    model = make(pooling, whiten=whiten, resize=80)
    if pooling == "gem":
        torch.nn.init.constant_(model.pooling.p, 4.5)
    model.backbone.mean = (0.4, 0.5, 0.6)
    folder = model.save(str(tmp_path / "deep" / "model"))
    assert sorted(f.name for f in folder.iterdir()) == ["card.json", "model.safetensors"]
    monkeypatch.delenv("NETVLAD_WEIGHTS")  # a saved model needs none
    loaded = netvlad.load(folder)
    np.testing.assert_array_equal(loaded.describe(mixed), model.describe(mixed))
    assert loaded.identity == model.identity
    assert loaded.architecture == model.architecture
    for name in ("name", "dim", "resize", "ready", "fitted_on", "clusters"):
        assert getattr(loaded, name) == getattr(model, name)
    assert loaded.backbone.provenance == model.backbone.provenance
    assert not loaded.training


def test_a_stage_with_its_activation_is_saved(make, mixed, tmp_path):
    model = make("netvlad", stage="layer2+act")
    loaded = netvlad.load(model.save(tmp_path / "model"))
    assert loaded.backbone.stage == "layer2+act"
    np.testing.assert_array_equal(loaded.describe(mixed), model.describe(mixed))


def test_the_card(make, tmp_path):
    model = make("netvlad", whiten=5)
    card = json.loads((model.save(tmp_path / "model") / "card.json").read_text())
    assert (card["format"], card["kind"], card["name"], card["dim"]) == (1, "network", "test_resnet-netvlad", 5)
    assert card["architecture"] == {
        "trunk": "test_resnet",
        "stage": "layer3",
        "pooling": "netvlad",
        "clusters": 4,
        "resize": 640,
        "whitening": 5,
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
    }
    assert card["weights"]["file"] == "test_resnet.made_up.safetensors"
    assert card["checksum"] == model.identity
    assert card["netvlad"] == netvlad.__version__


def test_identity_tells_models_apart(make):
    model = make("netvlad")
    seen = {model.identity}
    assert make("netvlad").identity in seen  # fitted on the same photos
    model.resize = 320
    assert model.identity not in seen
    model.resize = 640
    assert model.identity in seen
    with torch.no_grad():
        model.pooling.centres[0, 0] = math.nextafter(float(model.pooling.centres[0, 0]), math.inf) + 1e-6
    assert model.identity not in seen
    assert make("netvlad2").identity not in seen


def test_saving_again_replaces_both_files(make, tmp_path, mixed):
    make("max").save(tmp_path / "model")
    model = make("netvlad")
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(netvlad.load(tmp_path / "model").describe(mixed), model.describe(mixed))


# -- damaged folders ------------------------------------------------------------------------------------------------


@pytest.fixture
def saved(make, tmp_path) -> Path:
    return make("netvlad", whiten=5).save(tmp_path / "model")


def rewrite(folder: Path, change) -> None:
    """Change the card, and let its checksum fit again."""
    card = json.loads((folder / "card.json").read_text())
    state = load_file(folder / "model.safetensors")
    change(card, state)
    save_file(state, folder / "model.safetensors")
    card["checksum"] = digest(card["architecture"], state)
    (folder / "card.json").write_text(json.dumps(card))


def test_a_changed_byte(saved):
    file = saved / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[-1000] ^= 1
    file.write_bytes(data)
    with pytest.raises(ModelError, match=r"model\.safetensors: is not the file that card\.json describes"):
        netvlad.load(saved)


@pytest.mark.parametrize("damage", ["half", "empty", "text", "gone"])
def test_a_damaged_file(saved, damage):
    file = saved / "model.safetensors"
    data = file.read_bytes()
    file.write_bytes({"half": data[: len(data) // 2], "empty": b"", "text": b"hello, world", "gone": b""}[damage])
    if damage == "gone":
        file.unlink()
    with pytest.raises(ModelError, match=r"model\.safetensors: cannot be read"):
        netvlad.load(saved)


@pytest.mark.parametrize("key", ["resize", "pooling", "mean", "stage", "clusters", "whitening"])
def test_a_changed_architecture(saved, key):
    card = json.loads((saved / "card.json").read_text())
    changed = {
        "resize": 320,
        "pooling": "vlad",
        "mean": [0.1, 0.2, 0.3],
        "stage": "layer2",
        "clusters": 5,
        "whitening": 4,
    }
    card["architecture"][key] = changed[key]
    (saved / "card.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match="checksum differs"):
        netvlad.load(saved)


@pytest.mark.parametrize("content", ["", "{", "[]", "3", '{"kind": "network"}', "\x00\xff"])
def test_a_card_that_is_none(saved, content):
    (saved / "card.json").write_text(content, encoding="latin-1")
    with pytest.raises(ModelError, match=r"card\.json: cannot be read as a card"):
        netvlad.load(saved)


@pytest.mark.parametrize("key", ["architecture", "weights", "name", "checksum", "fitted_on"])
def test_a_card_that_lacks_an_entry(saved, key):
    card = json.loads((saved / "card.json").read_text())
    del card[key]
    (saved / "card.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match=rf"card\.json: lacks .*{key}"):
        netvlad.load(saved)


@pytest.mark.parametrize("key", ["trunk", "stage", "pooling", "clusters", "resize", "whitening", "mean", "std"])
def test_an_architecture_that_lacks_an_entry(saved, key):
    rewrite(saved, lambda card, state: card["architecture"].pop(key))
    with pytest.raises(ModelError, match=rf"card\.json: lacks .*{key}"):
        netvlad.load(saved)


@pytest.mark.parametrize(("key", "value"), [("format", 2), ("format", "1"), ("kind", "dense_vlad")])
def test_a_card_of_another_version(saved, key, value):
    card = json.loads((saved / "card.json").read_text())
    card[key] = value
    (saved / "card.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match=rf"{value!r}.*this version reads format 1 of .*network"):
        netvlad.load(saved)


@pytest.mark.parametrize(
    "change",
    [
        lambda card, state: state.pop("pooling.centres"),
        lambda card, state: state.pop("whitening.matrix"),
        lambda card, state: state.pop("trunk.body.conv1.0.weight"),
        lambda card, state: state.update({"pooling.bias": np.zeros(4, np.float32)}),
        lambda card, state: state.update({"pooling.centres": np.zeros((5, 192), np.float32)}),
        lambda card, state: card["architecture"].update(whitening=4),
        lambda card, state: card["architecture"].update(clusters=5),
        lambda card, state: card["architecture"].update(whitening=None),
        lambda card, state: card["architecture"].update(stage="layer2"),
    ],
)
def test_tensors_that_do_not_fit_the_architecture(saved, change):
    rewrite(saved, change)
    with pytest.raises(ModelError, match=r"model\.safetensors: does not fit the architecture in card\.json"):
        netvlad.load(saved)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("trunk", "resnt18", "no backbone is called"),
        ("stage", "layer9", "no stage 'layer9'"),
        ("pooling", "mean", "no pooling"),
    ],
)
def test_an_architecture_that_does_not_exist(saved, key, value, reason):
    rewrite(saved, lambda card, state: card["architecture"].update({key: value}))
    with pytest.raises(ModelError, match=reason):
        netvlad.load(saved)


# -- real weights ---------------------------------------------------------------------------------------------------


def west(campus: Path, n: int) -> list[dict]:
    import csv

    with open(campus / "west_day.csv", newline="") as file:
        return list(csv.DictReader(file))[:n]


@torch.no_grad()
def test_real_photos_through_torchvisions_resnet(real_weights, campus):
    from torchvision.models import resnet18

    whole = resnet18(weights=None).eval()
    state = torch.load(real_weights / "resnet18.tv_in1k.to_layer3.pth", weights_only=True)
    missing = whole.load_state_dict(state, strict=False).missing_keys
    assert all(key.startswith(("layer4", "fc")) for key in missing)
    paths = [campus / row["path"] for row in west(campus, 24)]
    expected = []
    for path in paths:
        pixels = np.asarray(Image.open(path).convert("RGB"), dtype=np.float32) / 255
        x = torch.from_numpy((pixels - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]).float().permute(2, 0, 1)[None]
        x = whole.maxpool(whole.relu(whole.bn1(whole.conv1(x))))
        x = whole.layer3[0](whole.layer2(whole.layer1(x)))
        block = whole.layer3[1]
        y = block.bn2(block.conv2(block.relu(block.bn1(block.conv1(x))))) + x  # the last ReLU left out
        expected.append(torch.nn.functional.normalize(y.amax(dim=(2, 3)), dim=1)[0].numpy())
    model = netvlad.load("resnet18-max")
    np.testing.assert_allclose(model.describe(paths), expected, atol=1e-5)


def test_real_photos_of_a_place_look_alike(real_weights, campus):
    rows = west(campus, 100)
    vectors = netvlad.load("resnet18-max").describe([campus / row["path"] for row in rows])
    distance = 2 - 2 * vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    np.fill_diagonal(distance, np.inf)
    lat, lon = (np.array([float(row[key]) for row in rows]) for key in ("lat", "lon"))
    east, north = 111_320 * np.cos(np.radians(31.26)) * lon, 111_320 * lat
    metres = np.hypot(east[:, None] - east, north[:, None] - north)
    nearest = metres[np.arange(100), distance.argmin(axis=1)]
    assert np.median(nearest) < np.median(metres) / 3
    assert (nearest <= 10).mean() > 3 * (metres <= 10).mean()


def test_the_constructor_alone_is_not_ready_to_be_trusted():
    model = NetworkDescriber(Backbone("test_resnet"), "max")
    assert model.backbone.provenance is None
    assert model.name == "test_resnet-max"
