from __future__ import annotations

import json

import numpy as np

from netvlad.explanation.exact import explain_exactly
from netvlad.explanation.result import Explanation


def test_to_dict_is_json_of_all_fields(make, pair):
    found = explain_exactly(make(), *pair)
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert set(plain) == set(vars(found))
    np.testing.assert_allclose(plain["query_map"], found.query_map, atol=1e-3 * np.abs(found.query_map).max())
    assert np.shape(plain["table"]) == found.table.shape
    assert plain["pairs"][0]["share"] == found.pairs[0].share
    assert np.shape(plain["clusters"][0]["match_map"]) == found.match_map.shape


def test_to_dict_of_what_has_no_table():
    nothing = np.zeros((2, 3), np.float32)
    plain = json.loads(json.dumps(Explanation(0.5, False, nothing, nothing).to_dict(), allow_nan=False))
    assert (plain["table"], plain["query_constant"], plain["pairs"]) == (None, None, [])
    assert plain["query_map"] == [[0, 0, 0], [0, 0, 0]]
