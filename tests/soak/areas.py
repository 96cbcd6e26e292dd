"""All areas."""

from __future__ import annotations

from soak import commands, following, images, kills, maps, serving, surroundings, tables

ON_FILES = [images.AREA, maps.AREA, kills.AREA, following.AREA, tables.AREA]
AREAS = [*ON_FILES, commands.AREA, serving.AREA, *surroundings.AREAS]
