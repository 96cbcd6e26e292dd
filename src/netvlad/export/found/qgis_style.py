"""How QGIS draws answers: found.qml, which it reads with a layer file found.gpkg beside it.

Each answer is a dot in a circle of its radius, coloured by the verdict; the pointer on one shows the photo.
"""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from netvlad.export.found.table import Found

_VERDICTS = {  # of `Location.verdict`: name in the legend, colour
    "probable": ("probably here", (26, 127, 55)),
    "guess": ("a guess", (217, 130, 43)),
    "absent": ("probably not in this map", (138, 138, 138)),
    "unknown": ("how sure is not known", (91, 111, 168)),
}
_OPAQUE, _SHEER = 255, 38
# QGIS takes metres of Web Mercator, which background maps come in, for metres on the ground
_DIAMETER = '2 * "radius" / if(@project_crs = \'EPSG:3857\' and "lat" is not null, cos(radians("lat")), 1)'
_FOLDER = "file_path(layer_property(@layer_id, 'path')) || '/'"
_PHOTO = f"""if(regexp_match("photo", '^(/|[A-Za-z]:)'), '', {_FOLDER}) || "photo\""""
_TIP = f"""<b>[% "photo" %]</b><br>
[% "verdict" || if("confidence" is null, '', ', confidence ' || format_number("confidence", 2)) %]<br>
<img width="320" src="file:///[% regexp_replace({_PHOTO}, '^/', '') %]">"""


def write_qml(found: Found, file: Path) -> None:
    """Write a layer style, which is the same for all answers."""
    file.write_text(qgis_style(), encoding="utf-8")


def qgis_style() -> str:
    """A layer style (QML) for the columns of `found.table`, by the verdict."""
    categories, symbols = "", ""
    for i, (verdict, (label, colour)) in enumerate(_VERDICTS.items()):
        categories += f'<category label={quoteattr(label)} symbol="{i}" value="{verdict}" render="true"/>'
        rim, size = (*colour, _OPAQUE), _size(_DIAMETER)
        area = _marker((*colour, _SHEER), rim, "50", "RenderMetersInMapUnits", size)
        dot = _marker(rim, (255, 255, 255, _OPAQUE), "2.2", "MM")
        symbols += f'<symbol name="{i}" type="marker" alpha="1" clip_to_extent="1">{area}{dot}</symbol>'
    renderer = '<renderer-v2 type="categorizedSymbol" attr="verdict" symbollevels="0" enableorderby="0">'
    tip = f"<mapTip>{escape(_TIP)}</mapTip>"
    parts = f"<categories>{categories}</categories><symbols>{symbols}</symbols>"
    return f'<qgis version="3.22" styleCategories="Symbology|MapTips">{renderer}{parts}</renderer-v2>{tip}</qgis>'


def _marker(fill: tuple[int, ...], outline: tuple[int, ...], size: str, unit: str, more: str = "") -> str:
    """A circle, `size` units across."""
    options = {"name": "circle", "color": _rgba(fill), "outline_color": _rgba(outline), "outline_width": "0.2"}
    options |= {"size": size, "size_unit": unit, "scale_method": "diameter"}
    listed = "".join(f'<Option name="{name}" value="{value}" type="QString"/>' for name, value in options.items())
    head = '<layer class="SimpleMarker" enabled="1" locked="0" pass="0">'
    return f'{head}<Option type="Map">{listed}</Option>{more}</layer>'


def _size(expression: str) -> str:
    """A size that each row has of its own."""
    own = '<Option name="active" value="true" type="bool"/>'
    own += f'<Option name="expression" value={quoteattr(expression)} type="QString"/>'
    own += '<Option name="type" value="3" type="int"/>'
    properties = f'<Option name="properties" type="Map"><Option name="size" type="Map">{own}</Option></Option>'
    kind = '<Option name="type" value="collection" type="QString"/><Option name="name" value="" type="QString"/>'
    return f'<data_defined_properties><Option type="Map">{kind}{properties}</Option></data_defined_properties>'


def _rgba(colour: tuple[int, ...]) -> str:
    return ",".join(map(str, colour))
