from __future__ import annotations

import pytest

from netvlad.errors import PlaceIndexError
from netvlad.maps.credits import FILE, Credits, read_credits, write_credits
from netvlad.maps.match import Credit

ADA = Credit("CC-BY-4.0", 'Ada, "the" first', "https://example.org/a")


def test_credits_are_those_of_the_picture_and_of_views_cut_out_of_it(tmp_path):
    write_credits(tmp_path, Credits({"panoramax-a": ADA}))
    credits = read_credits(tmp_path)
    for name in ("panoramax-a.jpg", "panoramax-a_h030_p04.jpg", "panoramax-a_h12.5_p-5.webp"):
        assert credits.of(f"/photos/{name}") == ADA
    assert credits.of("/photos/panoramax-ab_h030_p04.jpg") is None


def test_a_map_without_others_photos_has_none(tmp_path):
    assert read_credits(tmp_path).by_name == {}


def test_a_damaged_table_is_refused(tmp_path):
    (tmp_path / FILE).write_text("name,who\na,b\n")
    with pytest.raises(PlaceIndexError):
        read_credits(tmp_path)
