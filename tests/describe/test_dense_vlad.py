from __future__ import annotations

import csv
import json
import math

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file, save_file
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_info, threadpool_limits

import netvlad
from netvlad.describe import dense_vlad
from netvlad.describe import fit as fitting
from netvlad.describe.dense_vlad import CENTRES, DenseVLAD, read_centres, vlad
from netvlad.describe.fit import sample_locals
from netvlad.describe.stream import describe_all
from netvlad.errors import ImageError, ModelError
from netvlad.features.dense_sift import dense_sift
from netvlad.images.read import read_image
from netvlad.runtime.artifacts import digest


def unit_rows(n: int, d: int, seed: int = 0) -> np.ndarray:
    x = np.abs(np.random.default_rng(seed).normal(size=(n, d)))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def make(photos, monkeypatch):
    """A DenseVLAD with 6 centres, fitted on textures."""
    monkeypatch.setattr(fitting, "DESCRIPTORS", 2000)  # k-means takes its time
    paths = photos(20)

    def new(whiten: int | None = None, **options) -> DenseVLAD:
        return netvlad.fit(DenseVLAD(clusters=6, **options), paths, whiten=whiten, workers=0)

    return new


@pytest.fixture
def centres_file(tmp_path, monkeypatch):
    """$NETVLAD_WEIGHTS: a folder with made-up centres in the authors' file. write(array) replaces them."""
    folder = tmp_path / "weights"
    folder.mkdir()
    monkeypatch.setenv("NETVLAD_WEIGHTS", str(folder))

    def write(centres) -> None:
        np.save(folder / CENTRES, centres)
        return folder / CENTRES

    write(3 * unit_rows(128, 128))
    return write


def by_loop(x: np.ndarray, centres: np.ndarray, intra: bool) -> np.ndarray:
    """VLAD, descriptor by descriptor."""
    sums = np.zeros(centres.shape)
    for descriptor in x.astype(np.float64):
        distances = [np.sum((descriptor - c) ** 2) for c in centres.astype(np.float64)]
        nearest = int(np.argmin(distances))
        sums[nearest] += descriptor - centres[nearest]
    if intra:
        for row in sums:
            if row.any():
                row /= np.linalg.norm(row)
    return sums.ravel() / np.linalg.norm(sums)


# -- VLAD -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("intra", [True, False])
@pytest.mark.parametrize("lengths", [1.0, np.linspace(0.6, 1, 7)[:, None]])
def test_vlad_equals_a_plain_loop(intra, lengths):
    x, centres = unit_rows(900, 16), (lengths * unit_rows(7, 16, seed=1)).astype(np.float32)
    centres[3] = 5  # nearest to none
    found = vlad(iter([x[:400], x[400:410], x[410:410], x[410:]]), centres, intra)
    np.testing.assert_allclose(found, by_loop(x, centres, intra), atol=1e-6)
    assert not found.reshape(7, 16)[3].any()


def test_vlad_by_hand():
    centres = np.array([[0, 0], [10, 0]], np.float32)
    x = np.array([[3, 4], [1, 0], [10, -2]], np.float32)  # residual sums (4, 4) and (0, -2)
    r = math.sqrt(0.5)
    np.testing.assert_allclose(vlad(iter([x]), centres), [r * r, r * r, 0, -r])
    np.testing.assert_allclose(vlad(iter([x]), centres, False), np.array([4, 4, 0, -2]) / 6)


def test_sums_of_a_block_equal_those_of_torch():
    x, centres = unit_rows(2048, 128), unit_rows(16, 128, seed=1)
    nearest = torch.from_numpy((x @ centres.T).argmax(axis=1))
    sums = torch.zeros(16, 128).index_add_(0, nearest, torch.from_numpy(x))
    residuals = sums.numpy() - np.bincount(nearest, minlength=16)[:, None] * centres
    expected = (residuals / np.linalg.norm(residuals)).ravel()
    np.testing.assert_allclose(vlad(iter([x]), centres, intra=False), expected, atol=1e-6)


def test_a_photo_is_described_on_one_thread_of_the_blas(make, photos, monkeypatch):
    seen = []

    def watched(*given):
        seen.extend(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
        return vlad(*given)

    model = make()
    monkeypatch.setattr(dense_vlad, "vlad", watched)
    with threadpool_limits(2, user_api="blas"):
        model.describe(photos(1))
    assert set(seen) <= {1}


def test_vlad_of_nothing():
    assert not vlad(iter([]), unit_rows(3, 5)).any()
    centres = unit_rows(3, 5)
    assert not vlad(iter([centres]), centres).any()  # no residual at all


@pytest.mark.parametrize("intra", [True, False])
def test_the_vector_of_a_photo(make, photos, intra):
    model, (path,) = make(intra=intra), photos(1, seed=9)
    (found,) = model.describe([path])
    x = np.concatenate([block.descriptors for block in dense_sift(read_image(path))])
    np.testing.assert_allclose(found, by_loop(x, model.pooling.centres.numpy(), intra), atol=1e-5)
    assert found.dtype == np.float32
    assert (model.dim, len(found)) == (6 * 128, 6 * 128)


# -- what is described ----------------------------------------------------------------------------------------------


def test_a_vector_depends_on_its_photo_alone(make, photos):
    model, paths = make(), [*photos(3, seed=4), *photos(2, (64, 80), seed=5)]
    together = model.describe(paths)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(together[::-1], model.describe(paths[::-1]))
    np.testing.assert_array_equal(together[3:4], model.describe(paths[3:4]))
    assert model.describe([]).shape == (0, 768)


def test_whatever_read_image_takes(make, photos):
    model, (path,) = make(), photos(1, seed=4)
    array = read_image(path)
    with Image.open(path) as image, open(path, "rb") as file:
        vectors = model.describe([path, file.read(), array, image])
    np.testing.assert_array_equal(vectors, np.repeat(vectors[:1], 4, axis=0))
    with pytest.raises(ImageError, match="no such file"):
        model.describe([path + "x"])
    with pytest.raises(ImageError, match="an image array must be"):
        model.describe([array.astype(np.float32)])


def test_photos_are_scaled_down(make, photos):
    model, (path,) = make(), photos(1, (300, 200), seed=4)
    model.resize = 90
    small = model.describe([path])
    model.resize = None
    np.testing.assert_array_equal(small, model.describe([read_image(path, resize=90)]))
    assert np.abs(small - model.describe([path])).max() > 1e-3
    assert DenseVLAD().resize == 640


@pytest.mark.parametrize("whiten", [None, 5])
@pytest.mark.parametrize(
    "image",
    [np.zeros((60, 80, 3), np.uint8), np.full((40, 40, 3), 200, np.uint8), np.zeros((21, 90, 3), np.uint8),
     np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8), np.zeros((1, 1), np.uint8),
     np.dstack([np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8), np.zeros((60, 60), np.uint8)])],
    ids=["black", "one colour", "low", "8x8", "1x1", "undefined"],
)  # fmt: skip
def test_a_photo_without_features(make, photos, image, whiten):
    model = make(whiten)
    (path,) = photos(1, seed=4)
    found = model.describe([image, path])
    np.testing.assert_array_equal(found[0], np.full(model.dim, model.dim**-0.5, np.float32))
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert found[1].std() > 1e-3


def test_photos_too_small_for_any_feature_are_told(make, photos):
    assert DenseVLAD.smallest == 22
    vectors, bad = describe_all(make(), [*photos(1, (21, 60), 4), *photos(1, (22, 60), 5)], workers=0)
    assert list(bad) == [0]
    assert "at least 22 pixels" in bad[0]
    assert np.linalg.norm(vectors[1]) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("resize", [None, 70])
def test_what_lies_in_a_hole_changes_nothing(make, photos, resize, tmp_path):
    model = make(resize=resize)
    (path,) = photos(1, (140, 120), seed=4)
    image, hole = read_image(path), np.zeros((120, 140), bool)
    hole[30:60, 20:70] = True
    paths = []
    for i, colours in enumerate([np.zeros_like(image), image, read_image(photos(1, (140, 120), seed=5)[0])]):
        rgba = np.dstack([np.where(hole[..., None], colours, image), np.where(hole, 0, 255)]).astype(np.uint8)
        paths.append(str(tmp_path / f"{i}.png"))
        Image.fromarray(rgba).save(paths[-1])
    arrays = [np.asarray(Image.open(p)) for p in paths]
    vectors = np.concatenate([model.describe(paths), model.describe(arrays), describe_all(model, paths, workers=0)[0]])
    np.testing.assert_array_equal(vectors, np.repeat(vectors[:1], 9, axis=0))
    assert np.linalg.norm(vectors[0] - model.describe([path])[0]) > 0.05


def test_masked_features_are_not_drawn_for_the_centres(tmp_path):
    rng = np.random.default_rng(0)
    image = np.repeat(rng.integers(0, 256, (120, 120, 1), dtype=np.uint8), 3, axis=2)
    hole = np.zeros((120, 120), bool)
    hole[:, 60:] = True
    for name, colour in (("a", 0), ("b", 255)):
        rgba = np.dstack([np.where(hole[..., None], colour, image), np.where(hole, 0, 255)]).astype(np.uint8)
        Image.fromarray(rgba).save(tmp_path / f"{name}.png")
    one, other = (sample_locals(DenseVLAD(), [str(tmp_path / f"{name}.png")]) for name in "ab")
    np.testing.assert_array_equal(one, other)


# -- centres --------------------------------------------------------------------------------------------------------


def test_without_centres_nothing_is_described_or_saved(tmp_path):
    model = DenseVLAD()
    assert not model.ready
    for use in (lambda: model.describe([]), lambda: model.save(tmp_path / "m")):
        with pytest.raises(ModelError, match="densevlad has no cluster centres yet"):
            use()
    assert not (tmp_path / "m").exists()


def test_fitted_centres_are_means_of_rootsifts(make, photos):
    model = make()
    x = np.concatenate([b.descriptors for path in photos(20) for b in dense_sift(read_image(path))])
    assert model.fitted_on == {"photos_given": 20, "seed": 0, "local_descriptors": 2000}
    drawn = sample_locals(DenseVLAD(), photos(20), workers=0)
    assert {d.tobytes() for d in drawn} <= {d.tobytes() for d in x}
    centres = model.pooling.centres.numpy()
    nearest = ((drawn[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)
    np.testing.assert_allclose(centres, [drawn[nearest == k].mean(axis=0) for k in range(6)], atol=1e-3)


def test_nothing_to_fit_on(tmp_path):
    Image.new("RGB", (60, 60)).save(tmp_path / "black.png")
    with pytest.raises(ModelError, match="128 cluster centres need as many local descriptors, got 0"):
        netvlad.fit(DenseVLAD(), [str(tmp_path / "black.png")])


def test_the_authors_centres_are_taken_from_their_file(centres_file, photos):
    model = netvlad.load("densevlad")
    assert model.ready
    assert (model.name, model.dim, model.resize) == ("densevlad", 16384, 640)
    np.testing.assert_allclose(model.pooling.centres, unit_rows(128, 128), atol=1e-6)  # normalised
    assert model.provenance["file"] == CENTRES
    before = model.identity
    netvlad.fit(model, photos(9), whiten=4, workers=0)
    np.testing.assert_allclose(model.pooling.centres, unit_rows(128, 128), atol=1e-6)
    assert model.dim == 4
    assert model.fitted_on == {"photos_given": 9, "seed": 0, "whitening_photos": 9}
    model.whitening = None
    assert model.identity == before


def test_other_numbers_of_centres_are_fitted(centres_file, photos):
    model = netvlad.load("densevlad", clusters=8, resize=None)
    assert not model.ready
    assert (model.clusters, model.resize, model.provenance) == (8, None, None)
    netvlad.fit(model, photos(3), workers=0)
    assert model.dim == 1024


def test_without_the_file_centres_are_fitted(monkeypatch, tmp_path):
    monkeypatch.setenv("NETVLAD_WEIGHTS", str(tmp_path))
    assert not netvlad.load("densevlad").ready
    monkeypatch.delenv("NETVLAD_WEIGHTS")
    assert not netvlad.load("densevlad").ready


@pytest.mark.parametrize(
    ("centres", "reason"),
    [(unit_rows(64, 128), "128x128 float32, got"), (np.ones((128, 128)), "got .* float64"),
     (np.zeros((128, 128), np.float32), "zero, infinite or NaN"), (np.full((128, 128), np.nan, np.float32), "NaN"),
     (np.array([{}]), "cannot be read")],
)  # fmt: skip
def test_another_file_in_its_place(centres_file, centres, reason):
    centres_file(centres)
    with pytest.raises(ModelError, match=rf"{CENTRES}: .*{reason}"):
        netvlad.load("densevlad")


def test_a_damaged_file_of_centres(centres_file):
    file = centres_file(unit_rows(128, 128))
    for data in (b"", b"hello", file.read_bytes()[:5000]):
        file.write_bytes(data)
        with pytest.raises(ModelError, match="cannot be read"):
            netvlad.load("densevlad")


def test_names_and_options(centres_file):
    with pytest.raises(ModelError, match="densevlad has no backbone"):
        netvlad.load("densevlad", stage="layer3")
    with pytest.raises(ModelError, match="densevlad is not whitened"):
        netvlad.load("densevlad", dim=128)
    with pytest.raises(ModelError, match="close: densevlad"):
        netvlad.load("densvlad")


# -- whitening ------------------------------------------------------------------------------------------------------


def test_whitening_is_that_of_the_vectors(make, photos):
    paths = photos(20)
    plain, white = make().describe(paths), make(6).describe(paths)
    assert white.shape == (20, 6)
    expected = PCA(6, whiten=True, svd_solver="full").fit_transform(plain.astype(np.float64))
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    signs = np.sign((white * expected).sum(axis=0))
    np.testing.assert_allclose(white * signs, expected, atol=2e-3)
    cut = make(6).crop(2).describe(paths)
    np.testing.assert_allclose(cut, white[:, :2] / np.linalg.norm(white[:, :2], axis=1, keepdims=True), atol=1e-4)


def test_what_is_not_whitened_is_not_cut(make):
    with pytest.raises(ModelError, match="densevlad is not whitened, so its 768 numbers cannot be cut to 5"):
        make().crop(5)
    with pytest.raises(ModelError, match="cannot be cropped to 6"):
        make(5).crop(6)


# -- saved and loaded -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("whiten", [None, 5])
def test_a_saved_model_makes_the_same_vectors(make, photos, tmp_path, monkeypatch, whiten):
    model, paths = make(whiten, resize=80, intra=False), photos(3, seed=4)
    folder = model.save(tmp_path / "deep" / "model")
    assert sorted(f.name for f in folder.iterdir()) == ["card.json", "model.safetensors"]
    monkeypatch.delenv("NETVLAD_WEIGHTS", raising=False)
    loaded = netvlad.load(folder)
    assert type(loaded) is DenseVLAD
    np.testing.assert_array_equal(loaded.describe(paths), model.describe(paths))
    for name in ("identity", "architecture", "name", "dim", "resize", "intra", "ready", "fitted_on", "provenance"):
        assert getattr(loaded, name) == getattr(model, name)
    if whiten:
        np.testing.assert_array_equal(netvlad.load(folder, dim=2).describe(paths), model.crop(2).describe(paths))


def test_as_its_authors_publish_it(centres_file, photos, tmp_path):
    (photo,) = photos(1)
    plain, rounded = netvlad.load("densevlad"), netvlad.load("densevlad-2015", resize=80)
    assert (rounded.name, rounded.resize, rounded.clusters) == ("densevlad-2015", 80, 128)
    blocks = dense_sift(read_image(photo, resize=80), rounded=True)
    expected = vlad((found.descriptors for found in blocks), rounded.pooling.centres.numpy())
    np.testing.assert_allclose(rounded.describe([photo])[0], expected, atol=1e-6)
    again = netvlad.load(rounded.save(tmp_path / "model"))
    np.testing.assert_array_equal(again.describe([photo]), rounded.describe([photo]))
    assert again.identity == rounded.identity
    assert not np.allclose(netvlad.load("densevlad", resize=80).describe([photo]), expected, atol=1e-3)
    assert plain.architecture["descriptor"] == "dense RootSIFT"


def test_given_centres_stay_given(centres_file, tmp_path, photos):
    model = netvlad.load("densevlad")
    loaded = netvlad.load(model.save(tmp_path / "model"))
    assert loaded.provenance == model.provenance
    netvlad.fit(loaded, photos(6), whiten=3, workers=0)
    np.testing.assert_array_equal(loaded.pooling.centres, model.pooling.centres)


def test_the_card(make, tmp_path):
    model = make(5)
    card = json.loads((model.save(tmp_path / "model") / "card.json").read_text())
    assert (card["format"], card["kind"], card["name"], card["dim"]) == (1, "densevlad", "densevlad", 5)
    assert card["architecture"] == {
        "descriptor": "dense RootSIFT",
        "bin_sizes": [4, 6, 8, 10],
        "step": 2,
        "clusters": 6,
        "intra": True,
        "resize": 640,
        "whitening": 5,
    }
    assert card["weights"] is None
    assert card["checksum"] == model.identity


def test_identity_tells_models_apart(make):
    model = make()
    seen = {model.identity}
    assert make().identity in seen
    for other in (make(intra=False), make(resize=320), make(5), make(6)):
        assert other.identity not in seen
        seen.add(other.identity)
    model.pooling.centres[2, 3] += 1e-6
    assert model.identity not in seen


def rewrite(folder, change) -> None:
    """Change the card or the tensors, and let the checksum fit again."""
    card = json.loads((folder / "card.json").read_text())
    state = load_file(folder / "model.safetensors")
    change(card["architecture"], state)
    save_file(state, folder / "model.safetensors")
    card["checksum"] = digest(card["architecture"], state)
    (folder / "card.json").write_text(json.dumps(card))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda arch, state: arch.update(bin_sizes=[4, 8]), "was made with local features"),
        (lambda arch, state: arch.update(step=3), "was made with local features"),
        (lambda arch, state: arch.pop("step"), r"card\.json: lacks .*step"),
        (lambda arch, state: arch.pop("intra"), r"card\.json: lacks .*intra"),
        (lambda arch, state: arch.update(clusters=7), "does not fit the architecture"),
        (lambda arch, state: arch.update(whitening=None), "does not fit the architecture"),
        (lambda arch, state: state.pop("pooling.centres"), "does not fit the architecture"),
        (
            lambda arch, state: state.update({"whitening.mean": np.zeros(3, np.float32)}),
            "does not fit the architecture",
        ),
    ],
)
def test_a_folder_that_does_not_fit(make, tmp_path, change, reason):
    folder = make(5).save(tmp_path / "model")
    rewrite(folder, change)
    with pytest.raises(ModelError, match=reason):
        netvlad.load(folder)


def test_a_changed_byte(make, tmp_path):
    folder = make().save(tmp_path / "model")
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-1000] ^= 1
    (folder / "model.safetensors").write_bytes(data)
    with pytest.raises(ModelError, match=r"is not the file that card\.json describes"):
        netvlad.load(folder)


# -- real photos ----------------------------------------------------------------------------------------------------


def table(campus, name: str) -> list[dict]:
    with open(campus / f"{name}.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_real_photos_of_a_place_look_alike(real_weights, campus):
    rows = table(campus, "west_day")[:80]
    vectors = netvlad.load("densevlad").describe([campus / row["path"] for row in rows])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    distance = 2 - 2 * vectors @ vectors.T
    np.fill_diagonal(distance, np.inf)
    lat, lon = (np.array([float(row[key]) for row in rows]) for key in ("lat", "lon"))
    metres = np.hypot(*(111_320 * (a[:, None] - a) for a in (lat, lon * math.cos(math.radians(lat.mean())))))
    nearest = metres[np.arange(80), distance.argmin(axis=1)]
    assert np.median(nearest) < np.median(metres) / 2
    assert (nearest <= 10).mean() > 2 * (metres <= 10).mean()


def test_the_authors_centres_are_in_our_order(real_weights, campus):
    centres = read_centres(real_weights / CENTRES).reshape(-1, 4, 4, 8)
    names = ("west_day", "west_night", "east_day", "east_night")
    paths = [campus / row["path"] for name in names for row in table(campus, name)[::36]]
    x = np.concatenate([block.descriptors[::13] for path in paths for block in dense_sift(read_image(path))])

    def distance(c: np.ndarray) -> float:
        return float(np.sqrt(np.maximum(2 - 2 * x @ c.reshape(128, 128).T, 0)).min(axis=1).mean())

    ours, o = distance(centres), np.arange(8)
    wrong = {
        "rows upside down": (centres[:, ::-1], 0.005),
        "directions the other way round": (centres[..., (4 - o) % 8], 0.005),
        "rows for columns": (centres.transpose(0, 2, 1, 3), 0.02),
        "directions turned by one": (np.roll(centres, 1, axis=3), 0.02),
        "directions slowest": (centres.transpose(0, 3, 1, 2), 0.05),
        # consistent ones; of a mirrored world the descriptors are the same on average
        "a photo upside down": (centres[:, ::-1][..., -o % 8], 0.0),
        "a photo turned by 180 degrees": (centres[:, ::-1, ::-1][..., (o + 4) % 8], 0.0),
    }
    for name, (other, margin) in wrong.items():
        assert distance(other) > ours + margin, name
