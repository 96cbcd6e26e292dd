from __future__ import annotations

import os
from pathlib import Path

import pytest

from netvlad.errors import NetvladError
from netvlad.runtime.addresses import (
    absolute,
    is_address,
    joined,
    listed,
    open_address,
    path_or_address,
    read_address,
    size_and_time,
    write_address,
)


@pytest.mark.parametrize("text", ["s3://b/a.jpg", "gs://b", "az://b/x y", "S3://B/x"])
def test_what_has_a_scheme_is_an_address(text):
    assert is_address(text)
    assert path_or_address(text + "/") == text


@pytest.mark.parametrize("text", ["a.jpg", "/s3://b", "C://a", "C:\\a", "s3:/b", ""])
def test_other_text_is_a_path(text):
    assert not is_address(text)
    assert path_or_address(text) == Path(text)
    assert absolute(text) == os.path.abspath(text)


@pytest.mark.skipif(os.name == "nt", reason="drives are written otherwise there")
def test_a_file_address_is_a_path():
    assert path_or_address("file:///tmp/a%20b") == Path("/tmp/a b")


def test_names_are_joined_below_folders_and_addresses():
    assert joined("s3://b/f", "a.jpg") == "s3://b/f/a.jpg"
    assert joined("s3://b/f", "gs://c/a.jpg") == "gs://c/a.jpg"
    assert joined("s3://b/f", "/a.jpg") == "/a.jpg"
    assert joined("f", "s3://b/a.jpg") == "s3://b/a.jpg"
    assert joined("f", "a.jpg") == os.path.join("f", "a.jpg")


def test_files_are_written_listed_and_read(bucket):
    names = ["a.txt", "deep/ü x#1.txt"]
    for name in names:
        write_address(f"{bucket}/{name}", name.encode())
    found = listed(bucket)
    assert list(found) == [f"{bucket}/{name}" for name in names]
    assert list(listed(bucket, below=False)) == [f"{bucket}/a.txt"]
    for name in names:
        assert read_address(f"{bucket}/{name}", 100) == name.encode()
        assert size_and_time(f"{bucket}/{name}") == found[f"{bucket}/{name}"]
    with open_address(f"{bucket}/a.txt") as file:
        assert (file.seek(2), file.read()) == (2, b"txt")


def test_what_is_not_there_and_what_is_too_large(bucket):
    assert size_and_time(f"{bucket}/none") is None
    assert listed(f"{bucket}/none") == {}
    with pytest.raises(FileNotFoundError):
        read_address(f"{bucket}/none", 10)
    write_address(f"{bucket}/large", b"x" * 11)
    with pytest.raises(NetvladError, match="limit"):
        read_address(f"{bucket}/large", 10)


def test_an_unknown_kind_of_store_is_an_oserror():
    with pytest.raises(OSError):
        read_address("nosuchstore://b/a", 10)
