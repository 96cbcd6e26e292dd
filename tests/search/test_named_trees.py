from __future__ import annotations

import numpy as np
import pytest

from netvlad.errors import NetvladError
from netvlad.places import Neighbours, Places
from netvlad.registry import ranker_named
from netvlad.search.named_trees import is_tree_folder, vocabulary_tree_ranker
from netvlad.search.tree_fit import fit_tree
from netvlad.search.vocabulary_tree_ranker import VocabularyTreeRanker


def test_names(scenes, tmp_path):
    database = Places.build(path=scenes[0][:2], easting=[0, 100], northing=0.0)
    given = {"workers": 0, "seed": 1}

    def named(name: str, **more) -> VocabularyTreeRanker:
        factory, variant = ranker_named(name)
        return factory(database, variant=variant, **{**given, **more})

    for name, sizes, paths in (("vocabtree-3x2", [3, 9], 5), ("vocabtree-4x1-n2", [4], 2)):
        found = named(name)
        assert [len(centres) for centres, _ in found.tree.levels] == sizes
        assert found.paths == paths
    found = named("vocabtree-n3", most=20)
    assert (len(found.tree.levels), found.paths) == (5, 3)
    found = named("vocabtree-n2-hamming", most=20)
    assert (len(found.tree.levels), found.paths, found.embedding.words) == (4, 2, found.tree.words)
    near = Neighbours(np.arange(3), np.arange(2), np.zeros(2))
    both = named("vocabtree-4x2-hamming-distinct", near=lambda: near)
    assert (len(both.tree.levels), both.embedding is None, both.inverted.shares is None) == (2, False, False)
    alone = named("vocabtree-4x2-distinct", near=lambda: near)
    assert (alone.embedding, alone.inverted.shares is None) == (None, False)
    with pytest.raises(NetvladError, match="vocabtree-distinct learns from photos of other places, and nothing tells"):
        named("vocabtree-distinct")
    fitted = fit_tree(scenes[1], branching=6, depth=2, workers=0)
    fitted.save(tmp_path / "tree")
    assert vocabulary_tree_ranker(database, tree=tmp_path / "tree", **given).tree.words == fitted.words
    assert is_tree_folder(str(tmp_path / "tree"))
    for name in ("resnet18-netvlad", "densevlad", str(tmp_path), "vocabtrees", "vocabtree-"):
        assert ranker_named(name) is None
        assert not is_tree_folder(name)
    for end in ("-10", "-n", "-10x5-5", "-distinct-n5"):
        with pytest.raises(
            NetvladError, match=f"no vocabulary tree is called 'vocabtree{end}'; choose vocabtree, or with"
        ):
            named(f"vocabtree{end}")
    with pytest.raises(NetvladError, match="at least 1 deep, got 1 and 5"):
        named("vocabtree-1x5")
