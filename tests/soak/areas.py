"""All areas."""

from __future__ import annotations

from soak import commands, following, images, kills, maps, surroundings, tables

AREAS = [images.AREA, maps.AREA, kills.AREA, following.AREA, tables.AREA, commands.AREA, *surroundings.AREAS]
