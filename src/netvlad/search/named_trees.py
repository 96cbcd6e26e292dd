"""Vocabulary trees by name, as rankers."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from netvlad.errors import NetvladError, PlaceIndexError
from netvlad.places import Neighbours, Places
from netvlad.registry import register_ranker
from netvlad.runtime.artifacts import read_card
from netvlad.search.vocabulary_tree import KIND, VocabularyTree
from netvlad.search.vocabulary_tree_ranker import VocabularyTreeRanker

NAMES = "vocabtree, or with branching x depth, greedy paths and scoring: vocabtree-10x5-n5-hamming-distinct"


@register_ranker("vocabtree")
def vocabulary_tree_ranker(
    database: Places,
    *,
    variant: str = "",
    tree: str | os.PathLike[str] | None = None,
    near: Callable[[], Neighbours] | None = None,
    **options: Any,
) -> VocabularyTreeRanker:
    """Build the ranker over `database` that a name stands for.

    variant: branching x depth, greedy paths and scoring, all optional: "10x5-n5-hamming-distinct". tree: folder of a
    saved tree to use instead of one fitted on the database. near: needed for "distinct". options: as for
    VocabularyTreeRanker. Raises NetvladError for another variant, and PlaceIndexError for an unreadable tree.
    """
    found = re.fullmatch(r"(?:-(\d+)x(\d+))?(?:-n(\d+))?(-hamming)?(-distinct)?", f"-{variant}" if variant else "")
    if found is None:
        raise NetvladError(f"no vocabulary tree is called 'vocabtree-{variant}'; choose {NAMES}")
    *numbers, hamming, distinct = found.groups()
    if distinct and near is None:
        name = f"vocabtree-{variant}"
        raise NetvladError(f"{name} learns from photos of other places, and nothing tells here which those are")
    given = zip(("branching", "depth", "paths"), numbers, strict=True)
    options |= {key: int(number) for key, number in given if number}
    loaded = None if tree is None else VocabularyTree.load(tree)
    return VocabularyTreeRanker(
        database.path.tolist(), loaded, hamming=bool(hamming), near=near() if near and distinct else None, **options
    )


def is_tree_folder(name: str) -> bool:
    """Whether `name` is the folder of a saved vocabulary tree."""
    return (Path(name) / "card.json").is_file() and read_card(name, error=PlaceIndexError)["kind"] == KIND
