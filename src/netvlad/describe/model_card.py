"""The README.md of a model on the Hugging Face hub, written from its card.json."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netvlad.runtime.artifacts import Card
from netvlad.runtime.hugging_face import PREFIX

TAGS = ["visual-place-recognition", "image-retrieval", "netvlad"]
# of the licences that weights come with, those that the hub knows, by its names
LICENCES = {"apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "gpl-3.0", "agpl-3.0", "cc-by-4.0", "cc-by-nc-4.0"}
TEXT = """---
{metadata}
---

# {title}

Describes a photo by {dim} numbers, so that photos of the same place are near each other. {code}

    import netvlad
    model = netvlad.load("{name}"{option})
    vectors = model.describe(["photo.jpg"])  # (1, {dim}) float32, rows of unit length

or `netvlad index photos/ --out map.vpr --model {name}{flag}`.
"""
NO_CODE = "It is weights and settings alone: no code comes with it, and none is run."


def model_card(card: Card, repo: str, licence: str | None = None) -> str:
    """The README.md for the repository `owner/name`: metadata in YAML, then what the card says.

    licence: of the model; None takes the one that the card has of its weights.
    """
    from huggingface_hub import ModelCardData

    weights = card["weights"] or {}
    source = str(weights.get("source", ""))
    places = str(card["fitted_on"].get("places", ""))
    metadata = ModelCardData(
        **_licence(licence or weights.get("licence")),
        library_name="netvlad",
        pipeline_tag="image-feature-extraction",
        tags=TAGS,
        datasets=[Path(name.strip()).stem for name in places.split(",") if name.strip()] or None,
        base_model=source if re.fullmatch(r"[\w-]+/[\w.-]+", source) else None,
    )
    runs_code = card["kind"] == "hub"
    text = TEXT.format(
        metadata=metadata.to_yaml(),
        title=repo.rpartition("/")[2],
        name=PREFIX + repo,
        dim=card["dim"],
        code=f"It runs the code of {source}." if runs_code else NO_CODE,
        option=", trust_code=True" if runs_code else "",
        flag=" --trust-code" if runs_code else "",
    )
    parts = {"Architecture": {"name": card["name"], **card["architecture"]}, "Weights": weights}
    return text + "".join(_table(title, facts) for title, facts in {**parts, "Fitted on": card["fitted_on"]}.items())


def _licence(said: str | None) -> dict[str, Any]:
    """The hub's entries for a licence in our words."""
    name = (said or "").lower()
    if name in LICENCES:
        return {"license": name}
    if name in ("", "unknown", "not stated"):
        return {"license": "unknown"}
    return {"license": "other", "license_name": re.sub(r"[^a-z0-9.]+", "-", name).strip("-")}


def _table(title: str, facts: Mapping[str, Any]) -> str:
    """A section with a table of facts, those of nested ones after a dot; nothing where there are none."""
    flat: dict[str, Any] = {}
    for key, value in facts.items():
        flat |= {f"{key}.{k}": v for k, v in value.items()} if isinstance(value, Mapping) else {key: value}
    rows = "".join(f"| {_cell(key)} | {_cell(value)} |\n" for key, value in flat.items())
    return f"\n## {title}\n\n| | |\n|---|---|\n{rows}" if rows else ""


def _cell(value: Any) -> str:
    return " ".join(str(value).replace("|", r"\|").split())
