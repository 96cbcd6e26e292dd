"""What a map of street imagery is made of, as `netvlad info` tells it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from netvlad.imagery.building import FILE, read_request
from netvlad.imagery.sources import SOURCES
from netvlad.maps.credits import read_credits
from netvlad.places import Places


def imagery_told(map_folder: Path, places: Places) -> dict[str, Any]:
    """Source, area, span of time, licences and authors of a map, and how many of its photos each year has.

    Empty for a map of other photos. Raises PlaceIndexError for a damaged one.
    """
    if not (map_folder / FILE).exists():
        return {}
    request = read_request(map_folder)
    credits = read_credits(map_folder).by_name.values()
    drawn = f"within {request.width:g} m of a route" if "LineString" in request.shape else "polygons"
    years = places.time[~np.isnat(places.time)].astype("datetime64[Y]").astype(str).tolist()
    told = {
        "source": request.source,
        "service": request.url or (SOURCES[request.source].url if request.source in SOURCES else None),
        "area": request.around or request.bbox or drawn,
        "after": request.after or None,
        "before": request.before or None,
        "pictures": len(credits),
        "licences": dict(Counter(credit.licence for credit in credits).most_common()),
        "authors": len({credit.credit for credit in credits}),
        "photos_by_year": dict(sorted(Counter(years).items())),
    }
    return {"imagery": told}
