from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET

import pytest

from netvlad.export.found.qgis_style import qgis_style
from netvlad.export.found.write import write_found
from netvlad.maps.location import Location

SYSTEM = "/usr/bin/python3"  # which Debian's QGIS belongs to
DRAW = """
import json, sys
from qgis.core import *
from qgis.PyQt.QtCore import QSize
app = QgsApplication([], False)
app.initQgis()
layer = QgsVectorLayer(sys.argv[1], "found", "ogr")
project = QgsProject.instance()
project.addMapLayer(layer)
web = QgsCoordinateReferenceSystem("EPSG:3857")
project.setCrs(web)
settings = QgsMapSettings()
settings.setLayers([layer])
settings.setDestinationCrs(web)
settings.setOutputSize(QSize(400, 400))
to_web = QgsCoordinateTransform(layer.crs(), web, project)
centre = to_web.transform(layer.extent().center())
settings.setExtent(QgsRectangle(centre.x() - 100, centre.y() - 100, centre.x() + 100, centre.y() + 100))
context = QgsExpressionContext(QgsExpressionContextUtils.globalProjectLayerScopes(layer))
settings.setExpressionContext(context)
job = QgsMapRendererParallelJob(settings)
job.start()
job.waitForFinished()
job.renderedImage().save(sys.argv[2])
context.setFeature(next(layer.getFeatures()))
tip = QgsExpression.replaceExpressionText(layer.mapTipTemplate(), context)
print(json.dumps([tip, [category.label() for category in layer.renderer().categories()]]), flush=True)
import os
os._exit(0)  # QGIS crashes when Python ends
"""


def has_qgis() -> bool:
    here = shutil.which(SYSTEM)
    return bool(here) and subprocess.run([SYSTEM, "-c", "import qgis.core"], capture_output=True).returncode == 0


@pytest.fixture
def written(tmp_path):
    place = {"lat": 60.0, "lon": 25.0, "easting": None, "northing": None, "radius": 25.0}
    answer = {"photo": str(tmp_path / "a b.jpg"), **place, "confidence": 0.8, "verdict": "probable", "matches": []}
    for ending in (".gpkg", ".geojson", ".qml"):
        write_found([answer], tmp_path / f"found{ending}")
    return tmp_path


def test_every_verdict_has_a_symbol():
    style = ET.fromstring(qgis_style())
    sure = [(0.8, 0.1), (0.3, 0.1), (0.1, 0.8), (None, None)]
    verdicts = [Location("a.jpg", [], 25.0, *probabilities).verdict for probabilities in sure]
    assert [category.get("value") for category in style.iter("category")] == verdicts
    assert [symbol.get("name") for symbol in style.iter("symbol")] == ["0", "1", "2", "3"]


@pytest.mark.skipif(not has_qgis(), reason="QGIS is not installed (apt-get install python3-qgis)")
@pytest.mark.parametrize("layer", ["found.gpkg|layername=found", "found.geojson"])
def test_qgis_draws_what_lies_beside_it(written, layer):
    picture = written / "drawn.png"
    ran = subprocess.run(
        [SYSTEM, "-c", DRAW, f"{written}/{layer}", picture],
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
        capture_output=True,
        text=True,
    )
    tip, labels = json.loads(ran.stdout)
    assert re.findall('src="(.*?)"', tip) == [f"file://{written}/a b.jpg"]
    assert "0.80" in tip
    assert labels[0] == "probably here"
    from PIL import Image

    drawn = Image.open(picture).convert("RGB")
    row = [drawn.getpixel((x, 200)) != (255, 255, 255) for x in range(400)]
    assert abs(sum(row) - 200) <= 4  # 50 m on the ground are 100 m of Web Mercator at 60 degrees, 2 pixels each
