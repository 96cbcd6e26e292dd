from __future__ import annotations

from PIL import Image


def test_export_says_what_it_wrote(netvlad, refused, index, tmp_path):
    ran = netvlad("export", index, "--to", "faiss", "--out", tmp_path / "f")
    assert ran.code == 0
    assert ran.err.splitlines() == [f"wrote {tmp_path / 'f' / name}" for name in ("vectors.faiss", "places.parquet")]
    assert "hloc" in refused("export", index, "--to", "tiff", "--out", tmp_path / "g")
    (tmp_path / "there.onnx").write_text("")
    assert "exists already" in refused("export", index, "--to", "onnx", "--out", tmp_path / "there.onnx")
    for given in (["faiss", "--precision", "int8"], ["onnx", "--precision", "int8"], ["onnx", "--precision", "int4"]):
        refused("export", index, "--out", tmp_path / "h", "--to", *given)
    assert not (tmp_path / "h").exists()


def test_pairs_of_a_folder_without_places(netvlad, tmp_path, elsewhere):
    out = tmp_path / "pairs.txt"
    ran = netvlad("pairs", elsewhere, "--out", out, "--model", "test_resnet-max", "--workers", "0")
    assert ran.code == 0
    assert out.read_text().split() == ["q0.jpg", "q1.jpg", "q0.jpg", "q2.jpg", "q1.jpg", "q2.jpg"]
    assert "3 pairs of 3 photos" in ran.err


def test_pairs_that_are_there_are_refused_before_anything_is_described(refused, tmp_path, elsewhere):
    (tmp_path / "pairs.txt").write_text("a b\n")
    assert "exists already" in refused(
        "pairs", elsewhere, "--out", tmp_path / "pairs.txt", "--model", "test_resnet-max"
    )
    assert [file.name for file in tmp_path.iterdir()] == ["pairs.txt"]


def test_pairs_again_follow_the_folder(netvlad, tmp_path):
    photos, out = tmp_path / "photos", tmp_path / "pairs.txt"
    photos.mkdir()
    for i, colour in enumerate(("red", "blue", "green")):
        Image.new("RGB", (64, 48), colour).save(photos / f"{i}.png")
    given = ["pairs", photos, "--out", out, "--model", "test_resnet-max", "--workers", "0"]
    assert netvlad(*given).code == 0
    assert netvlad(*given).code == 1  # nothing is overwritten
    out.unlink()
    (photos / "2.png").unlink()
    assert netvlad(*given).code == 0
    assert out.read_text() == "0.png 1.png\n"


def test_pairs_of_an_index(netvlad, refused, index, tmp_path):
    out = tmp_path / "pairs.txt"
    assert netvlad("pairs", index, "--top", "0", "--within", "12", "--out", out).code == 0
    assert out.read_text().splitlines() == [f"{i}.jpg {i + 1}.jpg" for i in range(7)]
    assert "leave --model out" in refused("pairs", index, "--model", "resnet18-max", "--out", tmp_path / "b.txt")
