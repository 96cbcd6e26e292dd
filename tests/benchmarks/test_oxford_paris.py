from __future__ import annotations

import pytest

from netvlad.benchmarks import benchmark

STEMS = ["all_souls_000013", "all_souls_000026", "ashmolean_000001", "oxford_002985", "radcliffe_camera_000031"]


def write_truth(folder, query, line, good="", ok="", junk=""):
    folder.mkdir(parents=True, exist_ok=True)
    for kind, text in (("query", line), ("good", good), ("ok", ok), ("junk", junk)):
        (folder / f"{query}_{kind}.txt").write_text(text.replace(" ", "\n") + "\n" if kind != "query" else text)


@pytest.fixture
def oxford(tmp_path, touch):
    touch(tmp_path, *(f"images/{stem}.jpg" for stem in STEMS))
    truth = tmp_path / "gt_files_170407"
    line = "oxc1_all_souls_000013 136.5 34.1 648.5 955.7\n"
    write_truth(truth, "all_souls_1", line, good="all_souls_000013", ok="oxford_002985", junk="all_souls_000026")
    line = "oxc1_radcliffe_camera_000031 0 1 2 3"
    write_truth(truth, "radcliffe_camera_1", line, good="radcliffe_camera_000031 ashmolean_000001")
    return tmp_path


def test_oxford(oxford):
    split = benchmark("oxford5k").read(oxford)
    assert split.database.path.tolist() == [str(oxford / "images" / f"{stem}.jpg") for stem in STEMS]
    assert split.names.tolist() == ["all_souls_1", "radcliffe_camera_1"]
    assert split.queries.path.tolist() == [split.database.path[0], split.database.path[4]]
    assert split.roi.tolist() == [[136.5, 34.1, 648.5, 955.7], [0, 1, 2, 3]]
    assert [rows.tolist() for rows in split.positives] == [[0, 3], [2, 4]]
    assert [rows.tolist() for rows in split.junk] == [[1], []]
    assert not split.database.located.any()
    known = benchmark("oxford5k")
    assert (known.kind, known.protocol.radius) == ("map", None)
    assert known.check(oxford) == [
        "5 database photos are listed where the published set has 5063",
        "2 query photos are listed where the published set has 55",
    ]


def test_paris_has_folders_and_corrupt_photos(tmp_path, touch):
    names = ["defense/paris_defense_000605", "louvre/paris_louvre_000136", "louvre/paris_louvre_000001"]
    touch(tmp_path, *(f"images/{name}.jpg" for name in names))
    (tmp_path / "corrupt.txt").write_text("louvre/paris_louvre_000136.jpg\n")
    line = "paris_defense_000605 1 2 3 4"
    write_truth(tmp_path / "paris_120310", "defense_1", line, good="paris_defense_000605 paris_louvre_000001")
    split = benchmark("paris6k").read(tmp_path)
    assert split.database.place.tolist() == ["paris_defense_000605", "paris_louvre_000001"]
    assert split.positives[0].tolist() == [0, 1]
    write_truth(tmp_path / "paris_120310", "defense_1", line, junk="paris_louvre_000136")
    (message,) = benchmark("paris6k").check(tmp_path)
    assert message.endswith("defense_1_junk.txt: names 1 photos that are not there: paris_louvre_000136")
    touch(tmp_path, "images/defense/paris_louvre_000001.jpg")
    (message,) = benchmark("paris6k").check(tmp_path)
    assert "two photos named paris_louvre_000001" in message


def test_what_is_missing(oxford):
    def said() -> str:
        (line,) = benchmark("oxford5k").check(oxford)
        return line

    truth = oxford / "gt_files_170407"
    (truth / "all_souls_1_query.txt").write_text("oxc1_all_souls_000013 136.5 34.1 648.5\n")
    assert said() == (
        f"{truth / 'all_souls_1_query.txt'}: expected a photo's name and left, top, right, bottom, not "
        "'oxc1_all_souls_000013 136.5 34.1 648.5'"
    )
    (truth / "all_souls_1_query.txt").write_text("oxc1_all_souls_000099 1 2 3 4\n")
    assert said().endswith("all_souls_1_query.txt: names 1 photos that are not there: all_souls_000099")
    (truth / "all_souls_1_query.txt").write_text("oxc1_all_souls_000013 1 2 3 4\n")
    (truth / "all_souls_1_ok.txt").unlink()
    assert said() == f"{truth / 'all_souls_1_ok.txt'}: is not there"
    for path in truth.iterdir():
        path.unlink()
    assert said() == f"{truth}: holds no files *_query.txt"
    truth.rmdir()
    assert said() == f"{oxford}: holds neither groundtruth nor gt_files_170407 nor gt"
    (oxford / "images").rename(oxford / "photos")
    assert said() == f"{oxford}: holds neither images nor jpg"
