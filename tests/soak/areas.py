"""All areas."""

from __future__ import annotations

from soak import commands, images, kills, maps, surroundings, tables

AREAS = [images.AREA, maps.AREA, kills.AREA, tables.AREA, commands.AREA, *surroundings.AREAS]
