"""Options of `netvlad locate` for files of answers, and what becomes of these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from netvlad.cli.outputs import out_file

if TYPE_CHECKING:
    from netvlad.export.found.table import Answer


def _out(files: list[Path] | None) -> list[Path] | None:
    for file in files or ():
        from netvlad.export.found.write import check_found  # slow, and wrong use is told without

        out_file(file)
        check_found(file)
    return files


Out = Annotated[
    list[Path] | None,
    typer.Option(
        help="Write the answers: .csv, .geojson, .gpx, .kml, .gpkg, .parquet; .qml: how QGIS draws them. Repeatable.",
        callback=_out,
    ),
]
MinConfidence = Annotated[
    float | None,
    typer.Option(
        help="Write only answers of this confidence or more; all are printed. --xmp and --write-exif: 0.5.",
        min=0,
        max=1,
    ),
]
Xmp = Annotated[
    bool,
    typer.Option("--xmp", help="Write positions into sidecars photo.jpg.xmp, or add them to those that are there."),
]
WriteExif = Annotated[
    bool, typer.Option("--write-exif", help="Write positions into the JPEGs themselves; photo.jpg_original is kept.")
]
Undo = Annotated[
    bool, typer.Option("--undo", help="Take back what the last run of --out, --xmp and --write-exif wrote.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only tell what would be written.")]


@dataclass(frozen=True)
class Wanted:
    """What is to be written of answers, and how sure these must be."""

    files: Sequence[Path]
    xmp: bool
    exif: bool
    min_confidence: float | None
    dry_run: bool

    def check(self) -> None:
        """Raise typer.BadParameter for a condition of what is not asked for."""
        if not (self.files or self.xmp or self.exif):
            for name, given in (("--dry-run", self.dry_run), ("--min-confidence", self.min_confidence is not None)):
                if given:
                    raise typer.BadParameter("there is nothing to write: add --out or --xmp", param_hint=name)


def write_answers(answers: Sequence[Answer], wanted: Wanted, searched: str) -> bool:
    """Write the answers that are sure enough as they are wanted, and tell; returns whether all went well.

    searched: the map.
    """
    from netvlad.cli.common import say, tell
    from netvlad.export.found.write import sure_enough, write_found
    from netvlad.export.photos.journal import Journal
    from netvlad.export.photos.write import write_exif, write_sidecars
    from netvlad.maps.location import PROBABLE
    from netvlad.runtime.counted import counted

    journal = Journal()
    verb = "would write" if wanted.dry_run else "wrote"

    def left(kept: Sequence[Answer]) -> str:
        more = sum("error" not in answer for answer in answers) - sum("error" not in answer for answer in kept)
        return f", {more} too unsure" if more else ""

    kept = sure_enough(answers, wanted.min_confidence)
    for file in wanted.files:
        if not wanted.dry_run:
            with journal.writing(file) as temporary:
                write_found(kept, file, searched, temporary)
        what = "how QGIS draws them" if file.suffix.lower() == ".qml" else f"{counted(len(kept), 'answer')}{left(kept)}"
        say(f"{verb} {file}: {what}")
    kept = sure_enough(answers, PROBABLE if wanted.min_confidence is None else wanted.min_confidence)
    well = True
    for what, asked, write in (("sidecar", wanted.xmp, write_sidecars), ("photo", wanted.exif, write_exif)):
        if asked:
            written = write(kept, journal, searched=searched, dry_run=wanted.dry_run)
            say(f"{verb} {counted(len(written.files), what)}{left(kept)}")
            none = f"{counted(len(written.left), 'photo was', 'photos were')} left alone"
            tell(none, [f"{photo}: {why}" for photo, why in written.left.items()])
            bad = f"{counted(len(written.failed), what)} could not be written"
            tell(bad, [f"{photo}: {why}" for photo, why in written.failed.items()])
            well = well and not written.failed
    return well


def undo_last(dry_run: bool) -> None:
    """Take back the last run that wrote, and tell. Raises NetvladError where there is none."""
    from netvlad.cli.common import say, tell
    from netvlad.export.photos.journal import last_journal, undo
    from netvlad.runtime.counted import counted

    undone = undo(last_journal(), dry_run=dry_run)
    verb = "would take back" if dry_run else "took back"
    say(f"{verb} {counted(len(undone.restored), 'file')}")
    left = [f"{file}: {why}" for file, why in undone.left.items()]
    tell(f"{counted(len(left), 'file was', 'files were')} left alone", left)
