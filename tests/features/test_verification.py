from __future__ import annotations

import cv2
import numpy as np
import pytest

from netvlad.errors import NetvladError
from netvlad.features import verification as verify_module
from netvlad.features.local_features import LocalFeatures, local_features
from netvlad.features.verification import match, verify
from netvlad.images.read import read_image


def features(descriptors, points=None, kind: str = "sift") -> LocalFeatures:
    n = len(descriptors)
    points = np.zeros((n, 2)) if points is None else points
    kind_of_number = np.uint8 if kind in ("orb", "akaze") else np.float32
    return LocalFeatures(
        np.asarray(points, np.float32).reshape(n, 2),
        np.ones(n, np.float32),
        np.zeros(n, np.float32),
        np.asarray(descriptors, kind_of_number),
        kind,
    )


def line(*at: float) -> LocalFeatures:
    """Descriptors on a line, so that distances are seen at once."""
    return features([[x] + [0] * 127 for x in at])


def match_by_loops(a, b, ratio: float) -> list[list[int]]:
    """By the definition, in Python's own numbers."""
    if a.kind == "orb":
        bits = [[int("".join(f"{v:08b}" for v in row), 2) for row in f.descriptors.tolist()] for f in (a, b)]
        far = [[bin(x ^ y).count("1") for y in bits[1]] for x in bits[0]]
    else:
        far = [[float(np.linalg.norm(x - y)) for y in b.descriptors.astype(float)] for x in a.descriptors.astype(float)]
    pairs = []
    for i, row in enumerate(far):
        order = sorted(range(len(row)), key=row.__getitem__)
        j = order[0]
        back = min(range(len(far)), key=lambda k, j=j: far[k][j])
        if back == i and row[j] < ratio * row[order[1]]:
            pairs.append([i, j])
    return pairs


def test_match_by_hand():
    a, b = line(0, 10, 30, 100), line(1, 12, 28, 33, 60)
    # 0-1: 1 against 12; 10-12: 2 against 9; 30-28: 2 against 3, 0.67; 100-60: 40 against 67, and 60 is nearer to 30
    assert match(a, b, 0.8).tolist() == [[0, 0], [1, 1], [2, 2]]
    assert match(a, b, 0.6).tolist() == [[0, 0], [1, 1]]
    assert match(a, b, 0.2).tolist() == [[0, 0]]
    assert match(a, b).dtype == np.int64
    # two as near tell nothing, and of two that want the same one the nearer gets it
    assert match(line(5), line(4, 6, 50)).tolist() == []
    assert match(line(5), line(5, 5, 50)).tolist() == []
    assert match(line(5, 7), line(8, 100)).tolist() == [[1, 0]]
    assert match(line(5, 5.5), line(5, 100)).tolist() == [[0, 0]]


@pytest.mark.parametrize("kind", ["sift", "rootsift", "orb"])
@pytest.mark.parametrize("ratio", [0.7, 0.8, 0.95])
def test_match_is_the_definition(kind, ratio, monkeypatch):
    rng = np.random.default_rng(0)
    if kind == "orb":
        base = rng.integers(0, 256, (40, 32), dtype=np.uint8)
        noise = [np.packbits(rng.random((n, 256)) < 0.2, axis=1) for n in (30, 25)]
        a, b = base[:30] ^ noise[0], base[15:] ^ noise[1]
    else:
        base = rng.integers(0, 100, (40, 128)).astype(np.float32)
        a = base[:30] + rng.integers(0, 60, (30, 128))
        b = base[15:] + rng.integers(0, 60, (25, 128))
        if kind == "rootsift":
            a, b = (np.sqrt(x / x.sum(axis=1, keepdims=True)) for x in (a, b))
    a, b = features(a, kind=kind), features(b, kind=kind)
    want = match_by_loops(a, b, ratio)
    assert match(a, b, ratio).tolist() == want
    assert len(want) > 3
    monkeypatch.setattr(verify_module, "BLOCK", 7)
    assert match(a, b, ratio).tolist() == want


def test_match_of_50_000_features():
    """Two of them are what the other photo has; all the rest is noise. Never all distances are in memory at once."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (50_000, 128)).astype(np.float32)
    few = features(np.vstack([x[[49_999, 7]], rng.integers(0, 256, (98, 128))]).astype(np.float32))
    many = features(x)
    assert match(many, few, 0.5).tolist() == [[7, 1], [49_999, 0]]
    assert match(few, many, 0.5).tolist() == [[0, 49_999], [1, 7]]
    # of equally near ones in two blocks the first counts
    again = features(np.vstack([x[:5], x[5:9000], x[:5]]))
    assert match(again, features(x[:5] + 1)).tolist() == [[i, i] for i in range(5)]


def test_match_of_few_and_of_two_kinds():
    for a, b in ((line(), line(1, 2)), (line(1, 2), line()), (line(1), line(1)), (line(), line())):
        assert match(a, b).shape == (0, 2)
    with pytest.raises(NetvladError, match="got sift and orb"):
        match(line(1, 2), features(np.zeros((2, 32)), kind="orb"))


def scene(n: int, wrong: int = 0, seed: int = 0, size=(320, 240)):
    """n + wrong features with descriptors of their own, at random points."""
    rng = np.random.default_rng(seed)
    descriptors = rng.integers(0, 256, (n + wrong, 128))
    return descriptors, rng.uniform(0, size, (n + wrong, 2))


H = np.array([[0.9, -0.2, 40], [0.15, 1.1, -20], [2e-4, -1e-4, 1]])


def mapped(matrix, points: np.ndarray) -> np.ndarray:
    out = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    return out[:, :2] / out[:, 2:]


def two_views(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points of a solid scene seen by two cameras: x, y in both (n, 2), and the fundamental matrix by hand."""
    rng = np.random.default_rng(seed)
    solid = rng.uniform([-4, -3, 6], [4, 3, 14], (n, 3))
    k = np.array([[300, 0, 160], [0, 300, 120], [0, 0, 1.0]])
    turn, move = cv2.Rodrigues(np.array([0.02, 0.15, -0.03]))[0], np.array([0.8, 0.1, 0.2])
    a, b = solid @ k.T, (solid @ turn.T + move) @ k.T
    cross = np.array([[0, -move[2], move[1]], [move[2], 0, -move[0]], [-move[1], move[0], 0]])
    inverse = np.linalg.inv(k)
    return a[:, :2] / a[:, 2:], b[:, :2] / b[:, 2:], inverse.T @ cross @ turn @ inverse


def test_a_known_homography_is_found_among_wrong_matches():
    descriptors, points = scene(60, wrong=60)
    rng = np.random.default_rng(1)
    seen = mapped(H, points) + rng.normal(0, 0.3, points.shape)
    seen[60:] = rng.uniform(0, (320, 240), (60, 2))
    order = rng.permutation(120)
    found = verify(features(descriptors, points), features(descriptors[order], seen[order]))
    row = np.empty(120, int)
    row[order] = np.arange(120)
    pairs = {(i, row[i]) for i in range(60)}
    got = {tuple(p) for p in found.inliers.tolist()}
    off = np.linalg.norm(seen - mapped(H, points), axis=1)
    by_luck = {(i, row[i]) for i in range(60, 120) if off[i] < 6}
    assert pairs <= got <= pairs | by_luck
    assert len(found) == len(found.inliers)
    np.testing.assert_allclose(mapped(found.matrix, points), mapped(H, points), atol=1)


def test_a_known_fundamental_matrix_is_found_where_no_homography_holds():
    a, b, f = two_views(80)
    descriptors, _ = scene(80, wrong=40)
    rng = np.random.default_rng(2)
    a = np.vstack([a, rng.uniform(0, (320, 240), (40, 2))])
    b = np.vstack([b + rng.normal(0, 0.2, b.shape), rng.uniform(0, (320, 240), (40, 2))])
    found = verify(features(descriptors, a), features(descriptors, b), "fundamental", threshold=2.0)
    right = found.inliers[:, 0] < 80
    assert right.sum() >= 76
    assert (~right).sum() <= 12  # a wrong match may lie on its epipolar line
    off = _from_epipolar_line(f, a[:80], b[:80])
    assert (off < 1).all()  # the matrix by hand is right
    assert np.median(_from_epipolar_line(found.matrix, a[:80], b[:80])) < 0.6
    plane = verify(features(descriptors, a), features(descriptors, b), "homography", threshold=2.0)
    assert len(plane) < len(found)


def _from_epipolar_line(f, a, b) -> np.ndarray:
    lines = np.column_stack([a, np.ones(len(a))]) @ f.T
    return np.abs((lines * np.column_stack([b, np.ones(len(b))])).sum(axis=1)) / np.linalg.norm(lines[:, :2], axis=1)


@pytest.mark.parametrize("model", ["homography", "fundamental"])
def test_the_same_features_give_the_same_answer(model):
    descriptors, points = scene(40, wrong=80, seed=5)
    rng = np.random.default_rng(3)
    seen = mapped(H, points) + rng.normal(0, 1.5, points.shape)
    seen[40:] = rng.uniform(0, (320, 240), (80, 2))
    a, b = features(descriptors, points), features(descriptors, seen)
    want = verify(a, b, model)
    assert len(want) > 20
    for seed, threads in ((0, 1), (1, 1), (12345, -1), (7, 4)):
        cv2.setRNGSeed(seed)
        np.random.seed(seed)  # noqa: NPY002 - the global state is what must have no part in it
        cv2.setNumThreads(threads)
        got = verify(a, b, model)
        np.testing.assert_array_equal(got.inliers, want.inliers)
        np.testing.assert_array_equal(got.matrix, want.matrix)
    cv2.setNumThreads(-1)


@pytest.mark.parametrize(("model", "least"), [("homography", 4), ("fundamental", 8)])
def test_too_few_matches_are_no_inliers(model, least):
    descriptors, points = scene(least + 6)
    for n in (0, 1, least - 1):
        found = verify(features(descriptors[:n], points[:n]), features(descriptors, mapped(H, points)), model)
        assert (len(found), found.inliers.shape, found.matrix) == (0, (0, 2), None)
    enough = verify(features(descriptors, points), features(descriptors, mapped(H, points)), model)
    assert len(enough) == least + 6


@pytest.mark.parametrize(("model", "least"), [("homography", 4), ("fundamental", 8)])
def test_no_geometry_rests_on_fewer_inliers_than_it_needs(model, least):
    """Seven points always have a fundamental matrix, so that is what random ones would have."""
    counts = set()
    for seed in range(20):
        descriptors, points = scene(12, seed=seed)
        _, others = scene(12, seed=100 + seed)
        found = verify(features(descriptors, points), features(descriptors, others), model, threshold=0.5)
        counts.add(len(found))
        assert (found.matrix is None) == (len(found) == 0)
    assert min(counts - {0}, default=least) >= least
    assert counts & {0, least}


@pytest.mark.parametrize("model", ["homography", "fundamental"])
@pytest.mark.parametrize("shape", ["a line", "one spot", "two spots", "a line in one photo"])
def test_matches_on_a_line_are_no_inliers(model, shape):
    descriptors, points = scene(30)
    rng = np.random.default_rng(0)
    t = rng.uniform(0, 200, 30)
    narrow = {
        "a line": np.column_stack([t, 0.5 * t + 10]),
        "one spot": np.full((30, 2), 50.0),
        "two spots": np.where(t[:, None] > 100, [10.0, 20.0], [200.0, 30.0]),
        "a line in one photo": np.column_stack([t, 0.5 * t + 10]) + rng.normal(0, 0.5, (30, 2)),
    }[shape]
    other = points if shape == "a line in one photo" else mapped(H, narrow)
    for a, b in ((narrow, other), (other, narrow)):
        found = verify(features(descriptors, a), features(descriptors, b), model)
        assert len(found) == 0
        assert found.matrix is None


def test_unknown_models():
    with pytest.raises(NetvladError, match="called 'affine'; choose one of homography, fundamental"):
        verify(line(1, 2), line(1, 2), "affine")


@pytest.mark.parametrize("kind", ["rootsift", "sift", "orb"])
def test_a_warped_photo_is_confirmed_and_another_is_not(kind, campus):
    """A real photo seen from elsewhere, by a known homography; and a photo of another place."""
    from netvlad.places import read_places

    places = read_places(campus / "places.csv")
    image, other = read_image(places.path[0]), read_image(places.path[700])
    warp = np.array([[0.95, -0.1, 15], [0.08, 0.97, -6], [1e-4, 5e-5, 1]])
    height, width = image.shape[:2]
    seen = cv2.warpPerspective(image, warp, (width, height), borderMode=cv2.BORDER_REFLECT)
    a, b, c = (local_features(x, kind) for x in (image, seen, other))
    found = verify(a, b)
    assert len(found) > 25
    corners = np.array([[20, 20], [width - 20, 20], [20, height - 20], [width - 20, height - 20.0]])
    np.testing.assert_allclose(mapped(found.matrix, corners), mapped(warp, corners), atol=3)
    assert len(verify(a, c)) < 8
    assert len(verify(a, local_features(np.zeros_like(image), kind))) == 0
