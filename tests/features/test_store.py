from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from netvlad.errors import ImageError, NetvladError
from netvlad.features import store as module
from netvlad.features.local_features import local_features
from netvlad.features.store import FeatureStore
from netvlad.images.read import read_image

NAMES = ("points", "scale", "angle", "descriptors")


@pytest.fixture
def counted(monkeypatch) -> list:
    """The kind of each photo whose features are worked out."""
    done, whole = [], module.stored_features

    def noted(image, kind, most):
        done.append(kind)
        return whole(image, kind, most)

    monkeypatch.setattr(module, "stored_features", noted)
    return done


def assert_same(a, b) -> None:
    for name in NAMES:
        one, other = getattr(a, name), getattr(b, name)
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    assert a.kind == b.kind


@pytest.mark.parametrize("kind", ["rootsift", "sift", "orb"])
def test_features_are_those_of_the_photo_and_found_once(photos, tmp_path, counted, kind):
    path = photos(1, size=(320, 240))[0]
    want = local_features(read_image(path, resize=200), kind, most=50)
    options = {"most": 50, "resize": 200, "folder": tmp_path / "f"}
    store = FeatureStore(kind, **options)
    assert_same(store.of(path), want)
    assert_same(store.of(path), want)
    assert_same(FeatureStore(kind, **options).of(path), want)
    assert len(counted) == 1
    assert len(want) > 3


def test_files_are_of_content_and_settings(photos, tmp_path, counted):
    a, b = photos(2, size=(320, 240))
    folder = tmp_path / "f"
    FeatureStore("sift", folder=folder).of(a)
    copy = tmp_path / "copy.jpg"
    copy.write_bytes(Path(a).read_bytes())
    assert_same(FeatureStore("sift", folder=folder).of(str(copy)), FeatureStore("sift").of(a))
    assert len(counted) == 2  # once for the folder, once without one
    FeatureStore("rootsift", folder=folder).of(a)  # made from SIFT
    assert len(counted) == 2
    FeatureStore("sift", folder=folder).of(b)
    FeatureStore("orb", folder=folder).of(a)
    FeatureStore("sift", folder=folder, most=9).of(a)
    FeatureStore("sift", folder=folder, resize=100).of(a)
    FeatureStore("sift", folder=folder, enlarge=False).of(a)
    assert len(counted) == 7
    assert len(list(folder.iterdir())) == 6
    assert all(f.suffix == ".npz" for f in folder.iterdir())


class Evil:
    """Unpickled, it writes a file."""

    def __init__(self, file: Path):
        self.file = file

    def __reduce__(self):
        return Path.touch, (self.file,)


def test_broken_files_are_made_anew(photos, tmp_path, counted):
    path = photos(1, size=(320, 240))[0]
    folder = tmp_path / "f"
    want = FeatureStore(folder=folder).of(path)
    (file,) = folder.iterdir()
    good = file.read_bytes()
    arrays = dict(np.load(file))
    for i in range(5):
        if i < 3:
            file.write_bytes([b"", b"no archive", good[: len(good) // 2]][i])
        else:
            wrong = {3: ("descriptors", np.array([Evil(tmp_path / "ran")], object)), 4: ("points", np.zeros((1, 2)))}
            np.savez(file, **{**arrays, **dict([wrong[i]])})
        assert_same(FeatureStore(folder=folder).of(path), want)
        assert len(counted) == i + 2
    assert_same(FeatureStore(folder=folder).of(path), want)
    assert len(counted) == 6
    assert not (tmp_path / "ran").exists()


def test_memory_keeps_the_photos_last_used(photos, counted):
    paths = photos(3, size=(320, 240))
    sizes = [sum(getattr(FeatureStore("sift").of(p), n).nbytes for n in NAMES[:3]) for p in paths]
    sizes = [s + 128 * len(FeatureStore("sift").of(p)) for s, p in zip(sizes, paths, strict=True)]
    counted.clear()
    store = FeatureStore(memory=sum(sizes) - 1)  # any two, not three
    for path, done in ((0, 1), (1, 2), (0, 2), (2, 3), (0, 3), (1, 4)):
        store.of(paths[path])
        assert len(counted) == done
    tight = FeatureStore(memory=0)  # never less than the last
    tight.of(paths[0])
    tight.of(paths[0])
    assert len(counted) == 5


@pytest.mark.parametrize(("resize", "twice"), [(320, True), (319, False), (640, True), (None, False)])
def test_photos_that_stay_within_the_size_are_doubled(tmp_path, resize, twice):
    y, x = np.mgrid[:120, :160]
    image = np.full((120, 160), 60.0)
    for cx, cy in ((40, 40), (110, 80)):
        image += 150 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * 4.0**2))
    path = str(tmp_path / "a.png")
    Image.fromarray(image.astype(np.uint8)).save(path)
    plain, found = FeatureStore(enlarge=False, resize=resize).of(path), FeatureStore(resize=resize).of(path)
    assert np.array_equal(plain.points, found.points) == (not twice)
    assert_same(plain, local_features(read_image(path)))
    for cx, cy in ((40, 40), (110, 80)):  # told in pixels of the photo itself
        rows = [np.hypot(*(f.points - [cx, cy]).T).argmin() for f in (plain, found)]
        for f, row in zip((plain, found), rows, strict=True):
            np.testing.assert_allclose(f.points[row], [cx, cy], atol=0.1)
        assert found.scale[rows[1]] == pytest.approx(plain.scale[rows[0]], rel=0.1)


def test_holes_are_holes_in_doubled_photos_too(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (40, 54, 3), dtype=np.uint8).repeat(6, 0).repeat(6, 1)[:, :320]
    alpha = np.full(image.shape[:2], 255, np.uint8)
    alpha[:, 200:] = 0
    Image.fromarray(np.dstack([image, alpha])).save(path := str(tmp_path / "b.png"))
    found = FeatureStore().of(path)
    assert len(found) > 3
    assert (found.points[:, 0] + 6.8 * found.scale < 200.5).all()


def test_photos_that_cannot_be_read(tmp_path):
    store = FeatureStore(folder=tmp_path / "f")
    (tmp_path / "bad.jpg").write_text("x")
    (tmp_path / "empty.jpg").write_text("")
    for name, why in (("none.jpg", "no such file"), ("bad.jpg", "is not an image in"), ("empty.jpg", "is empty")):
        with pytest.raises(ImageError) as error:
            store.of(str(tmp_path / name))
        assert str(error.value).startswith(f"{tmp_path / name}: {why}")
    with pytest.raises(ImageError, match="cannot be read"):
        store.of(str(tmp_path))
    with pytest.raises(NetvladError, match="choose one of"):
        FeatureStore("bogus")
