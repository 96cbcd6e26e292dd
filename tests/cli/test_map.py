from __future__ import annotations

AREA = ("--bbox", "2.3,48.8,2.4,48.9")


def test_fetch_tells_and_fetches(netvlad, panoramax, tmp_path):
    for i in range(3):
        panoramax.add(f"p{i}", 48.81 + i / 1000)
    ran = netvlad("map", "fetch", *AREA, "--url", panoramax.url, "--out", tmp_path / "a", "--dry-run")
    assert ran.code == 0
    assert "etalab-2.0: 3 pictures" in ran.err
    assert not (tmp_path / "a").exists()
    ran = netvlad("map", "fetch", *AREA, "--url", panoramax.url, "--out", tmp_path / "a", "--yes")
    assert ran.code == 0
    assert len(list((tmp_path / "a" / "pictures").iterdir())) == 3


def test_fetch_refuses_an_empty_area_and_other_sources(netvlad, panoramax, tmp_path):
    assert netvlad("map", "fetch", *AREA, "--url", panoramax.url, "--out", tmp_path / "a").code == 1
    assert netvlad("map", "fetch", *AREA, "--from", "google", "--out", tmp_path / "a").code == 1
    assert netvlad("map", "fetch", "--out", tmp_path / "a").code == 1
    assert not (tmp_path / "a").exists()
