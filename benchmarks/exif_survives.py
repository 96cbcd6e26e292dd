"""Whether everything in odd JPEGs survives `netvlad locate --write-exif`, byte by byte and as exiftool reads it.

    PYTHONPATH=tests python benchmarks/exif_survives.py [--photos 1000]

The photos have EXIF blocks of either byte order with maker notes, thumbnails, unknown types, garbage and missing
ends, GPS directories without a position, XMP, IPTC, colour profiles, several pictures, trailers and fill bytes.
Afterwards all is taken back, and every file is to be what it was.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

from fixtures.odd_jpegs import odd_jpeg
from netvlad.export.photos.journal import Journal, last_journal, undo
from netvlad.export.photos.jpeg import exif_block, head
from netvlad.export.photos.write import write_exif

OF_FILES = ("SourceFile", "System:", "Composite:", "ExifTool:")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=1000)
    warnings.simplefilter("ignore")  # Pillow's, about odd files
    with tempfile.TemporaryDirectory() as name:
        os.environ["NETVLAD_STATE"] = f"{name}/state"
        _run(Path(name), parser.parse_args().photos)


def _run(folder: Path, count: int) -> None:
    (folder / "odd").mkdir()
    odd = {folder / "odd" / f"{i:05}.jpg": odd_jpeg(i) for i in range(count)}
    for file, made in odd.items():
        file.write_bytes(made.content)
    before = exiftool(folder / "odd")
    best = {"path": "m.jpg", "heading": 90.5}
    answer = {"lat": -31.262345678, "lon": 34.8, "radius": 25.0, "confidence": 0.8, "verdict": "probable"}
    start = time.perf_counter()
    written = write_exif([{"photo": str(file), "matches": [best], **answer} for file in odd], Journal())
    seconds = time.perf_counter() - start
    print(f"{len(written.files)} of {count} written, {1000 * seconds / count:.1f} ms each; left alone:")
    for reason, n in Counter(written.left.values()).most_common():
        print(f"  {n:4} {reason}")
    assert not written.failed

    outside = sum(
        without_exif(Path(file).read_bytes()) != without_exif(odd[Path(file)].content) for file in written.files
    )
    moved = sum(changed_words(Path(file).read_bytes(), odd[Path(file)].block) > 3 for file in written.files)
    print(f"{outside} with another byte outside of the EXIF block, {moved} with more than one entry changed in it")
    untouched = sum(Path(file).read_bytes() != odd[Path(file)].content for file in written.left)
    print(f"{untouched} of those left alone changed")
    after = exiftool(folder / "odd")
    lost: Counter[str] = Counter()
    fields = 0
    for file in written.files:
        was, now = before[file], after[file]
        kept = {name: value for name, value in was.items() if not name.startswith(OF_FILES)}
        fields += len(kept)
        lost.update(name for name, value in kept.items() if now.get(name) != value)
    print(f"{fields} fields read by exiftool before, {sum(lost.values())} differ after {dict(lost) or ''}")
    right = sum(abs(after[file].get("GPS:GPSLatitude", 0) - 31.262345678) < 1e-7 for file in written.files)
    print(f"{right} positions read back by exiftool")
    undone = undo(last_journal())
    same = sum(file.read_bytes() == made.content for file, made in odd.items())
    there = len(os.listdir(folder / "odd"))
    print(f"{len(undone.restored)} taken back; {same} of {count} files are as they were, {there} in all")


def exiftool(folder: Path) -> dict[str, dict[str, Any]]:
    """Fields of each photo, in all groups, unknown ones and binary ones as well."""
    asked = ["exiftool", "-json", "-n", "-G1", "-a", "-u", "-U", "-b", "-ext", "jpg", str(folder)]
    ran = subprocess.run(asked, capture_output=True, check=False)
    return {found["SourceFile"]: found for found in json.loads(ran.stdout)}


def without_exif(photo: bytes) -> bytes:
    for segment in head(photo):
        if segment.marker == 0xE1 and segment.content.startswith(b"Exif\0"):
            return photo[: segment.start] + photo[segment.end :]
    return photo


def changed_words(photo: bytes, before: bytes | None) -> int:
    """How many aligned words of 4 bytes of a TIFF block differ now."""
    was, now = before or b"MM\0*\0\0\0\x08", exif_block(head(photo)) or b""
    return len({i // 4 for i in range(len(was)) if was[i] != now[i]})


if __name__ == "__main__":
    main()
