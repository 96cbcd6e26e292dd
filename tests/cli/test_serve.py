from __future__ import annotations

import pytest

pytest.importorskip("uvicorn")


@pytest.fixture
def served(monkeypatch):
    """What would be run: (app, host, port)."""
    seen = []
    monkeypatch.setattr("netvlad.serve.run.run", lambda app, host, port, *, grace: seen.append((app, host, port)))
    return seen


def test_it_serves_this_machine_alone(netvlad, index, served):
    ran = netvlad("serve", index, "--port", 8765, "--tiles", "none")
    assert (ran.code, ran.out) == (0, "")
    assert "http://127.0.0.1:8765/" in ran.err
    ((app, host, port),) = served
    assert (host, port) == ("127.0.0.1", 8765)
    assert list(app.state.service.maps) == ["town"]


def test_any_other_address_needs_a_token(netvlad, refused, index, served, tmp_path):
    assert "--token-file" in refused("serve", index, "--host", "0.0.0.0")
    (tmp_path / "token").write_text("0123456789abcdef")
    ran = netvlad("serve", index, "--host", "0.0.0.0", "--token-file", tmp_path / "token")
    assert ran.code == 0
    assert "0123456789abcdef" not in ran.err
    assert served[0][0].state.service.settings.token == "0123456789abcdef"


def test_a_missing_package_names_the_extra(refused, index, monkeypatch):
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "fastapi" else real(name))
    assert "pip install 'netvlad[serve]'" in refused("serve", index)


def test_what_is_no_map(refused, tmp_path, index):
    assert "not an index" in refused("serve", tmp_path)
    assert "--tiles" in refused("serve", index, "--tiles", "mars")
