"""Positions in photos and beside them, read back by exiftool and by hand."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fixtures.odd_jpegs import odd_jpeg
from netvlad.errors import NetvladError
from netvlad.export.photos.fix import fix_of
from netvlad.export.photos.gps_block import with_gps
from netvlad.export.photos.journal import FILE, Journal, last_journal, undo
from netvlad.export.photos.jpeg import exif_block, head
from netvlad.export.photos.write import write_exif, write_sidecars
from netvlad.export.photos.xmp import sidecar
from netvlad.places.io.exif import read_exif


def answer(photo, **more):
    best = {"path": "/map/ä & <b>.jpg", "heading": 90.5}
    return {
        "photo": str(photo),
        "lat": -31.262345678,
        "lon": 34.800000004,
        "radius": 25.0,
        "confidence": 0.83,
        "verdict": "probable",
        "matches": [best],
    } | more


@pytest.fixture
def journal(tmp_path, monkeypatch) -> Journal:
    monkeypatch.setenv("NETVLAD_STATE", str(tmp_path / "state"))
    return Journal()


@pytest.fixture
def photo(tmp_path) -> Path:
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (16, 12), "red").save(tmp_path / "photos" / "a.jpg")
    return tmp_path / "photos" / "a.jpg"


def exiftool(*arguments) -> list[dict]:
    if not shutil.which("exiftool"):
        pytest.skip("needs exiftool (libimage-exiftool-perl), which reads the files back")
    ran = subprocess.run(["exiftool", "-json", "-n", "-G1", "-a", "-u", *map(str, arguments)], capture_output=True)
    return json.loads(ran.stdout)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


KEPT = """\ufeff<?xpacket begin='' id='W5M0MpCehiHzreSzNTczkc9d'?>
<!-- a note --><x:xmpmeta xmlns:x='adobe:ns:meta/' x:xmptk='Image::ExifTool 12.57'>
<R:RDF xmlns:R='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>
 <R:Description R:about='uuid:1 &lt;'
  xmlns:dc='http://purl.org/dc/elements/1.1/' xmlns:e='http://ns.adobe.com/exif/1.0/' e:GPSImgDirection="1/2">
  <dc:title><R:Alt><R:li xml:lang='x-default'>Straße &gt; "7" > 東京</R:li></R:Alt></dc:title>
  <dc:subject><R:Bag><R:li>harbour</R:li></R:Bag></dc:subject>
 </R:Description>
</R:RDF >
</x:xmpmeta>
  <?xpacket end='w'?>"""


def test_exiftool_reads_a_new_sidecar(photo, journal):
    written = write_sidecars([answer(photo)], journal, searched="town")
    assert (written.files, written.left, written.failed) == ([f"{photo}.xmp"], {}, {})
    (found,) = exiftool(f"{photo}.xmp")
    assert found["XMP-exif:GPSLatitude"] == pytest.approx(-31.262345678, abs=1e-8)
    assert found["XMP-exif:GPSLongitude"] == pytest.approx(34.8, abs=1e-8)
    assert (found["XMP-exif:GPSImgDirection"], found["XMP-exif:GPSImgDirectionRef"]) == (90.5, "T")
    assert (found["XMP-exif:GPSProcessingMethod"], found["XMP-exif:GPSHPositioningError"]) == ("netvlad", 25)
    own = {name: value for name, value in found.items() if name.startswith("XMP-netvlad:")}
    assert list(map(str, own.values())) == ["0.83", "probable", "town", "/map/ä & <b>.jpg"]


@pytest.mark.parametrize("name", ["a.jpg.xmp", "a.xmp"])
def test_a_sidecar_that_is_there_keeps_all_that_it_has(photo, journal, name):
    file = photo.with_name(name)
    file.write_text(KEPT, encoding="utf-8")
    before = file.read_bytes()
    assert write_sidecars([answer(photo)], journal).files == [str(file)]
    after = file.read_bytes()
    at = after.index(b"<rdf:Description")
    added = after[at : at + len(after) - len(before)]
    assert after[:at] + after[at + len(added) :] == before
    assert b'rdf:about="uuid:1 &lt;"' in added
    (found,) = exiftool(file)
    assert (found["XMP-dc:Title"], found["XMP-dc:Subject"]) == ('Straße > "7" > 東京', "harbour")
    assert found["XMP-exif:GPSLongitude"] == pytest.approx(34.8)
    # again: what is ours is replaced, and the same again is not written
    assert write_sidecars([answer(photo)], journal).files == []
    assert write_sidecars([answer(photo, lat=1.5)], journal).files == [str(file)]
    assert file.read_bytes().count(b"GPSLatitude=") == 1
    assert b'"1,30.000000N"' in file.read_bytes()


@pytest.mark.parametrize(
    "there",
    [
        KEPT.replace("e:GPSImgDirection", "e:GPSLatitude"),
        KEPT.replace("<dc:subject>", "<e:GPSLatitude>1,2N</e:GPSLatitude><dc:subject>"),
        sidecar(fix_of(answer("a")), None).decode().replace("/>", "><!-- mine --></rdf:Description>"),
        sidecar(fix_of(answer("a")), None).decode().replace("/>", ' xmlns:dc="d:" dc:title="mine"/>'),
        KEPT[:-60],
        KEPT.replace("<!-- a note -->", '<!DOCTYPE x [<!ENTITY a "b">]>'),
        "no XML at all",
        "<html/>",
    ],
)
def test_a_sidecar_with_a_position_or_without_sense_is_left_alone(photo, journal, there):
    file = Path(f"{photo}.xmp")
    file.write_text(there, encoding="utf-8")
    written = write_sidecars([answer(photo)], journal)
    assert (written.files, list(written.left)) == ([], [str(photo)])
    assert file.read_text("utf-8") == there
    assert not journal.folder.exists()


@pytest.mark.parametrize("rdf", ["<r:RDF {}/>", "<r:RDF {}></r:RDF>", "<r:RDF {}><r:Description/></r:RDF>"])
def test_an_empty_sidecar(rdf):
    there = '<x:xmpmeta xmlns:x="adobe:ns:meta/">' + rdf.format(
        'a="/>" xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
    )
    after = sidecar(fix_of(answer("a")), f"{there}</x:xmpmeta>".encode())
    assert sidecar(fix_of(answer("a")), after) == after
    assert after.endswith(b"</r:RDF></x:xmpmeta>")
    assert sidecar(fix_of(answer("a")), b" \n") == sidecar(fix_of(answer("a")), None)


def test_all_metadata_of_odd_jpegs_survives(tmp_path, journal):
    """The bytes around the EXIF block, and in it all but the one offset that leads to the position."""
    (tmp_path / "odd").mkdir()
    odd = {tmp_path / "odd" / f"{seed}.jpg": odd_jpeg(seed) for seed in range(100)}
    for file, made in odd.items():
        file.write_bytes(made.content)
    written = write_exif([answer(file) for file in odd], journal)
    assert not written.failed
    assert set(written.files) | set(written.left) == set(map(str, odd))
    assert len(written.left) < 15
    for file, made in odd.items():
        now = file.read_bytes()
        if str(file) in written.left:
            assert now == made.content, made.what
            continue
        block = exif_block(head(now))
        was = made.block or b"MM\0*\0\0\0\x08"
        changed = [i for i in range(len(was)) if block[i] != was[i]]
        assert len({i // 4 for i in changed}) <= 3, made.what  # one offset, or one entry of a directory
        assert strip(now) == strip(made.content), made.what
        assert file.with_name(file.name + "_original").read_bytes() == made.content
        shot = read_exif(str(file))
        assert (shot.lat, shot.lon) == (pytest.approx(-31.262345678, abs=1e-7), pytest.approx(34.8, abs=1e-7))
        assert shot.heading == (123.4 if "compass" in made.what else 90.5)
    undone = undo(last_journal())
    assert not undone.left
    assert contents(tmp_path / "odd") == {file.name: made.content for file, made in odd.items()}


def strip(photo: bytes) -> bytes:
    """A photo without its EXIF segment."""
    for segment in head(photo):
        if segment.marker == 0xE1 and segment.content.startswith(b"Exif\0"):
            return photo[: segment.start] + photo[segment.end :]
    return photo


def test_exiftool_finds_everything_again(tmp_path, journal):
    (tmp_path / "odd").mkdir()
    files = [tmp_path / "odd" / f"{seed}.jpg" for seed in range(10)]
    for seed, file in enumerate(files):
        file.write_bytes(odd_jpeg(seed).content)
    before = exiftool("-ext", "jpg", tmp_path / "odd")
    written = write_exif([answer(file) for file in files], journal)
    after = {found["SourceFile"]: found for found in exiftool("-ext", "jpg", tmp_path / "odd")}
    for was in before:
        now = after[was["SourceFile"]]
        if was["SourceFile"] in written.left:
            continue
        lost = {
            name: (value, now.get(name))
            for name, value in was.items()
            if not name.startswith(("System:", "Composite:", "ExifTool:")) and now.get(name) != value
        }
        assert not lost
        assert now["GPS:GPSLatitude"] == pytest.approx(31.262345678, abs=1e-7)
        assert now["GPS:GPSProcessingMethod"] == "netvlad"
        assert now["GPS:GPSLatitudeRef"] == "S"


def test_what_cannot_be_written_is_told(tmp_path, photo, journal):
    png, gone = tmp_path / "photos" / "b.png", tmp_path / "photos" / "c.jpg"
    Image.new("RGB", (4, 4)).save(png)
    cut = tmp_path / "photos" / "d.jpg"
    cut.write_bytes(photo.read_bytes()[:40])
    placed = tmp_path / "photos" / "e.jpg"
    shutil.copy(photo, placed)
    assert write_exif([answer(placed)], journal).files == [str(placed)]
    before = contents(tmp_path / "photos")
    nowhere = answer(photo, lat=None, lon=None)
    written = write_exif([answer(png), answer(gone), answer(cut), answer(placed), nowhere], Journal())
    assert not written.files
    assert list(written.left) == [str(file) for file in (png, cut, placed, photo)]
    assert list(written.failed) == [str(gone)]
    assert contents(tmp_path / "photos") == before
    assert list(write_sidecars([answer(placed), answer(png)], Journal(), dry_run=True).left) == [str(placed)]
    assert contents(tmp_path / "photos") == before


@pytest.mark.parametrize("block", [b"", b"II*\0", b"MM\0*\0\0\0\xff", b"MM\0*\0\0\0\x08\0\x09", b"II+\0\x08\0\0\0\0\0"])
def test_a_damaged_block_is_refused(block):
    with pytest.raises(NetvladError):
        with_gps(block, fix_of(answer("a")))


def test_a_block_that_fills_its_segment_has_no_room(tmp_path, journal, photo):
    exif = Image.Exif()
    exif[0xC4A5] = bytes(65_300)
    Image.new("RGB", (4, 4)).save(photo, exif=exif)
    before = photo.read_bytes()
    assert "no room" in write_exif([answer(photo)], journal).left[str(photo)]
    assert photo.read_bytes() == before


def test_a_photo_behind_a_link_is_written_where_it_lies(tmp_path, photo, journal):
    link = tmp_path / "link.jpg"
    link.symlink_to(photo)
    photo.chmod(0o640)
    write_exif([answer(link)], journal)
    assert link.is_symlink()
    assert np.isfinite(read_exif(str(photo)).lat)
    assert photo.stat().st_mode & 0o777 == 0o640


def test_undo_takes_back_exactly_what_was_written(tmp_path, photo, journal):
    others = [photo.with_name(f"{name}.jpg") for name in "bcd"]
    for other in others:
        shutil.copy(photo, other)
    merged = Path(f"{others[0]}.xmp")
    merged.write_text(KEPT, encoding="utf-8")
    os.utime(photo, (1, 1))
    (photo.parent / "a.jpg_original").write_text("of exiftool")
    before = contents(photo.parent)
    asked = [answer(p) for p in (photo, *others)]
    write_sidecars(asked, journal)
    write_exif(asked, journal)
    changed = others[1]
    changed.write_bytes(changed.read_bytes() + b"edited")
    merged.unlink()
    Path(f"{others[2]}.xmp").unlink()  # which was not there before
    would = undo(last_journal(), dry_run=True)
    assert would == undo(last_journal())
    assert set(would.left) == {str(changed), str(merged)}
    now = contents(photo.parent)
    assert now.pop(changed.name).endswith(b"edited")
    assert now.pop("c.jpg_original") == before.pop(changed.name)
    assert before.pop(merged.name) == KEPT.encode()
    assert now == before
    assert photo.stat().st_mtime == 1
    with pytest.raises(NetvladError):
        last_journal()


def test_undo_after_a_kill(tmp_path, photo, journal, monkeypatch):
    """Between the note and the file, and in the middle of a note."""
    before = contents(photo.parent)

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(
            "netvlad.runtime.files.os.replace", lambda a, b: os.rename(a, b) if "_orig" in str(b) else killed()
        )
        with pytest.raises(KeyboardInterrupt):
            write_exif([answer(photo)], journal)
    assert (photo.parent / "a.jpg_original").exists()
    with open(journal.folder / FILE, "a") as file:
        file.write('{"file": "/so')
    assert undo(last_journal()).left == {}
    assert contents(photo.parent) == before


def test_runs_are_taken_back_from_the_last_one(photo, journal):
    write_sidecars([answer(photo)], journal)
    write_sidecars([answer(photo, lat=2.0)], Journal())
    undo(last_journal())
    assert b"31,15.740741S" in Path(f"{photo}.xmp").read_bytes()
    undo(last_journal())
    assert [file.name for file in photo.parent.iterdir()] == ["a.jpg"]
