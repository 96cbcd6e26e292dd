"""What nobody sends by mistake: requests made from the document of the interface, and damaged photos."""

from __future__ import annotations

import numpy as np
import pytest

from fixtures.uploads import running, sent
from soak.image_damage import damage_image
from soak.image_seeds import write_seeds
from soak.mutate import damage

schemathesis = pytest.importorskip("schemathesis")


def test_requests_drawn_from_the_document(opened):
    """Schemathesis: no 500, only documented statuses and kinds of content, answers as their schemas say."""
    from hypothesis import HealthCheck, Phase, given, settings
    from schemathesis.specs.openapi.checks import positive_data_acceptance

    with running(opened, deadline=5.0) as (port, _):
        schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{port}/openapi.json")
        seen = set()
        for result in schema.get_all_operations():
            operation = result.ok()
            seen.add(operation.label)

            @settings(
                max_examples=8,
                deadline=None,
                database=None,
                derandomize=True,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=operation.as_strategy())
            def attempt(case) -> None:
                case.call_and_validate(excluded_checks=[positive_data_acceptance])  # bytes are no photo by chance

            attempt()
    assert "POST /v1/locate" in seen


def test_damaged_photos(client, tmp_path):
    write_seeds(tmp_path)
    seeds = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    rng = np.random.default_rng(5)
    for _ in range(40):
        _, photo, _ = damage_image(seeds, rng)
        response = client.post("/v1/locate", files=sent(photo))
        assert response.status_code in (200, 413, 422), response.text
        assert response.json().get("detail", "answered")


def test_damaged_forms(client, town):
    head = b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a.jpg"\r\n\r\n'
    form = head + (town / "0.jpg").read_bytes() + b"\r\n--x--\r\n"
    rng = np.random.default_rng(6)
    for i in range(60):
        broken = damage(form[: 120 if i % 2 else None] + (b"" if not i % 2 else form[-60:]), rng, [form])[0]
        response = client.post(
            "/v1/locate", content=broken, headers={"content-type": "multipart/form-data; boundary=x"}
        )
        assert response.status_code in (200, 400, 413, 422), response.text
