from __future__ import annotations

import pytest

from netvlad.errors import NetvladError
from netvlad.serve.settings import check_address, is_loopback, read_token


def test_only_this_machine():
    for host in ("127.0.0.1", "127.8.8.8", "::1", "localhost"):
        assert is_loopback(host), host
        check_address(host, "")
    for host in ("0.0.0.0", "::", "192.168.0.1", "example.org", "", "127.0.0.1.example.org"):
        assert not is_loopback(host), host
        with pytest.raises(NetvladError, match="--token-file"):
            check_address(host, "")
        check_address(host, "a token")


def test_tokens(tmp_path):
    assert read_token(None) == ""
    file = tmp_path / "token"
    file.write_text(" 0123456789abcdef\n")
    assert read_token(file) == "0123456789abcdef"
    for weak in ("", "short", "with blanks in its middle", "0123456789\x00abcdef"):
        file.write_text(weak)
        with pytest.raises(NetvladError) as refused:
            read_token(file)
        assert refused.value.path == str(file)
    file.write_bytes(b"\xff" * 20)
    for path in (file, tmp_path / "none"):
        with pytest.raises(NetvladError, match="token"):
            read_token(path)
