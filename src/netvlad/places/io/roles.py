"""Which column of a table holds what: by its usual name, or by the name that is given."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from netvlad.errors import PlacesError
from netvlad.places.values import some

# in order of preference, in lower case, with "_" for anything but letters and digits
SPELLINGS = {
    "path": "path file_path filepath image_path img_path photo_path file filename file_name image image_file "
    "image_name img photo photo_name picture source_file sourcefile name",
    "lat": "lat latitude gps_lat gps_latitude gpslatitude lat_deg latitude_deg latitude_degrees wgs84_lat",
    "lat_ref": "lat_ref latitude_ref gps_lat_ref gps_latitude_ref gpslatituderef",
    "lon": "lon lng long longitude gps_lon gps_lng gps_long gps_longitude gpslongitude lon_deg longitude_deg "
    "longitude_degrees wgs84_lon",
    "lon_ref": "lon_ref longitude_ref gps_lon_ref gps_longitude_ref gpslongituderef",
    "easting": "easting utm_easting utm_east utm_e utm_x east easting_m",
    "northing": "northing utm_northing utm_north utm_n utm_y north northing_m",
    "utm": "utm utm_zone utmzone utm_epsg epsg zone utm_zone_number zone_number",
    "letter": "utm_zone_letter utm_letter utm_band zone_letter hemisphere",
    "heading": "heading heading_deg compass_heading bearing compass compass_angle yaw azimuth direction "
    "gps_img_direction gpsimgdirection",
    "time": "time timestamp datetime date_time captured_at taken_at capture_time date_taken "
    "date_time_original datetimeoriginal date",
    "date": "date",
    "panorama": "panorama panorama_id pano pano_id panoid pano_key",
    "split": "split set subset partition",
    "place": "place place_id place_label",
    "x": "x",
    "y": "y",
}
_SPELLED = frozenset(" ".join(SPELLINGS.values()).split())


def roles(names: Sequence[str], source: str, given: Mapping[str, str] | None = None) -> dict[str, str]:
    """Role (a key of SPELLINGS) -> name of its column; the one that is given, else the first spelling wins.

    given: role -> column, where tables have names of their own. Raises PlacesError if a column of some role occurs
    twice, or one that is given is not there.
    """
    plain: dict[str, str] = {}
    for name in names:
        key = _plain(name)
        if key in plain and key in _SPELLED:
            raise PlacesError(f"has two columns {plain[key]!r} and {name!r}: keep one, or rename one", path=source)
        plain.setdefault(key, name)
    found = {}
    for role, spelled in SPELLINGS.items():
        known = [plain[key] for key in spelled.split() if key in plain]
        if known:
            found[role] = known[0]
    return found | {role: _column(name, names, source) for role, name in (given or {}).items()}


def parse_columns(text: str) -> dict[str, str]:
    """Role -> column from "lat=Breite,lon=Laenge". Raises PlacesError for anything else."""
    pairs = [part.partition("=") for part in text.split(",")]
    given = {role.strip(): name.strip() for role, _, name in pairs}
    if len(given) < len(pairs) or not all(name.strip() for _, _, name in pairs):
        raise PlacesError(f"columns {text!r}: each is named once, as in lat=Breite,lon=Laenge,time=Datum")
    return check_roles(given)


def check_roles(given: Mapping[str, str]) -> dict[str, str]:
    """The same. Raises PlacesError for what is no role."""
    if odd := [role for role in given if role not in SPELLINGS]:
        raise PlacesError(f"{odd[0]!r} is nothing that a table is read for; that is {', '.join(SPELLINGS)}")
    return dict(given)


def _column(wanted: str, names: Sequence[str], source: str) -> str:
    same = [name for name in names if name == wanted] or [n for n in names if n.strip().lower() == wanted.lower()]
    if len(same) != 1:
        what = f"{len(same)} columns" if same else "no column"
        raise PlacesError(
            f"has {what} {wanted!r}; its columns are: {some(list(names), 20, ', ') or 'none'}", path=source
        )
    return same[0]


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
