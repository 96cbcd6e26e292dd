"""The page of `netvlad explain`: two photos, and what in them agrees."""

from __future__ import annotations

import os
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from netvlad.explanation.result import Explanation
from netvlad.report.page import Thumbnails, fill, write_page

LONGEST = 640  # of the photos, in pixels
TITLE = "Why do these photos match?"
HOVER = (
    "Point at a spot of one photo, or tap it, to see its counterparts in the other. With the keyboard: Tab to a photo, "
    "arrow keys to move, Escape to leave."
)
EXACT = (
    "The similarity is a sum over pairs of spots. Orange spots add to it, blue ones take from it; each map and its "
    "constant sum to the similarity.",
    "A descriptor sees more of the photo than its spot, since a network looks around it. The lengths by which "
    "descriptors are divided are held fixed: without a spot, they would be others.",
)
WHITENED = (
    "The constant is what the mean of the whitening takes away: no spot of this photo has it. The pairs share it "
    "evenly."
)
OCCLUDED = (
    "This model cannot be taken apart, so parts of each photo were covered in turn. Orange: without that part the "
    "photos are less similar; blue: more similar. The map sums to nothing.",
)


def explanation_page(explanation: Explanation, query: str, match: str, path: str | Path) -> Path:
    """Write the page of an explanation of two photos (paths); returns its path.

    A photo that cannot be read any more becomes a frame that gives the reason. The write is atomic. Raises OSError.
    """
    thumbs = Thumbnails(longest=LONGEST)
    names = [os.path.basename(photo) for photo in (query, match)]
    photos = {
        side: {"thumb": thumbs.of(photo), "alt": f"The {side} {name}", "head": side.capitalize(), "lines": [name]}
        for side, photo, name in zip(("query", "match"), (query, match), names, strict=True)
    }
    data = {"explanation": explanation.to_dict(), "photos": photos, "thumbs": thumbs.embed()}
    whitened = explanation.exact and (explanation.query_constant or explanation.match_constant)
    reading = (*EXACT, *([WHITENED] if whitened else [])) if explanation.exact else OCCLUDED
    body = fill(
        "explanation.html",
        title=TITLE,
        lead=escape(f"{names[0]} and {names[1]}"),
        facts="\n".join(f"<li><strong>{value}</strong> {escape(words)}</li>" for value, words in facts(explanation)),
        heading="What agrees",
        how=HOVER if explanation.exact else "What is lost when a part is covered.",
        reading="\n".join(f'<p class="note">{escape(text)}</p>' for text in reading),
    )
    return write_page(path, TITLE, body, data, "heat.js", "explanation.js")


def facts(explanation: Explanation) -> Sequence[tuple[str, str]]:
    """Numbers with words: the similarity and, where it is exact, its terms as the query has them."""
    found = [(_signed(explanation.similarity, ""), "similarity of the photos, 1 at most")]
    if not explanation.exact:
        return found
    values = explanation.query_map.astype(np.float64)
    found.append((_signed(values[values > 0].sum()), "from spots of the query that agree"))
    found.append((_signed(values[values < 0].sum()), "from spots of the query that disagree"))
    if explanation.query_constant:
        found.append((_signed(explanation.query_constant), "constant, of the whitening"))
    return found


def _signed(value: Any, plus: str = "+") -> str:
    return f"{'−' if value < 0 else plus}{abs(float(value)):.3f}"
