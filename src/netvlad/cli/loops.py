"""netvlad loops: where does a drive meet itself?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from netvlad.cli.options import Device, Model
from netvlad.cli.outputs import out_folder

if TYPE_CHECKING:
    from netvlad.types import Describer

EXAMPLE = "Example: netvlad loops drive.mp4 --out loops/"
SAMPLE = 200  # frames that a model is fitted on


def run(
    source: Annotated[
        Path, typer.Argument(help="A video, a folder of frames (also TUM's or KITTI's), or a list of times and paths.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for loops.csv, .json, .tum, .g2o and .html.", callback=out_folder)],
    model: Model = None,
    every: Annotated[float | None, typer.Option(help="Least seconds between frames that are looked at.")] = None,
    apart: Annotated[
        float, typer.Option(help="Least distance (0..2) of a frame's vector from the last keyframe's.", min=0)
    ] = 0.0,
    rate: Annotated[float | None, typer.Option(help="Frames a second of a folder without times (10).")] = None,
    gap: Annotated[float, typer.Option(help="Seconds: frames nearer in time are never loops.", min=0)] = 20.0,
    sequence: Annotated[str, typer.Option(help="Frames that count: 1, 5, ..., or auto for all before.")] = "auto",
    verify: Annotated[int, typer.Option(help="Candidates of a frame that geometry verifies; 0: none.", min=0)] = 3,
    camera: Annotated[
        Path | None,
        typer.Option(help="File with fx fy cx cy in pixels, or KITTI's calib.txt: gives relative headings."),
    ] = None,
    poses: Annotated[Path | None, typer.Option(help="Trajectory of TUM or KITTI, for the page and the graph.")] = None,
    device: Device = None,
) -> None:
    """Find the loops of a drive: frames that show a place that was there before, verified by geometry.

    A model that needs it is fitted on frames of the drive. Edges of loops.g2o need --camera. A run that was stopped
    goes on when it is started again.
    """
    from contextlib import ExitStack

    import numpy as np

    from netvlad.cli.common import advise_xfeat, say, tell_unreadable
    from netvlad.cli.drive import kept_drive, watched
    from netvlad.describe.kept import KeptDescriber
    from netvlad.loops.detector import LoopDetector
    from netvlad.loops.files import write_loops
    from netvlad.loops.geometry import WIDTH
    from netvlad.loops.keyframes import to_jpeg
    from netvlad.loops.options import LoopOptions
    from netvlad.report.loops_page import loops_page, spread
    from netvlad.runtime.counted import counted
    from netvlad.runtime.kept_rows import KeptRows
    from netvlad.video.frames import read_frames
    from netvlad.video.poses import read_camera, read_poses

    options = LoopOptions(gap=gap, apart=apart, length=parse_length(sequence), verify=verify)
    intrinsics = None if camera is None else read_camera(camera)
    known = None if poses is None else read_poses(poses)
    read_frames(source, every=every, rate=rate)  # refuses what makes no sense, before anything is kept
    if verify:
        advise_xfeat()
    lost: dict[str, str] = {}
    loops, names, times = [], [], []
    with ExitStack() as stack:
        kept = stack.enter_context(kept_drive(out / "kept", source, model=model, every=every, rate=rate))
        describer = KeptDescriber(_fitted(model, source, every, rate, kept / "model"), kept / "vectors")
        rows = stack.enter_context(describer.rows)
        about = f"{options.kind} {None if intrinsics is None else intrinsics.tolist()}"
        pairs = stack.enter_context(KeptRows(kept / "pairs", about, WIDTH, np.float64))
        detector = LoopDetector(describer, options, camera=intrinsics, kept=pairs)
        for frame in watched(source, rows, every=every, rate=rate, lost=lost):
            before = detector.count
            loops += detector.add(frame.image, frame.t)
            if detector.count > before:
                names.append(frame.name)
                times.append(frame.t)
    at = None if known is None else known.at(np.array(times))
    write_loops(out, loops, names, np.array(times), at)
    words = [
        f"{loop.match_t:.1f} s and {loop.query_t:.1f} s: score {loop.score:.2f}"
        + ("" if loop.inliers is None else f", {loop.inliers} inliers")
        + ("" if loop.heading is None else f", turned by {loop.heading:.0f}°")
        for loop in loops
    ]
    shown = []
    for i in spread(len(loops)):
        pair = [detector.photo(number) for number in (loops[i].match, loops[i].query)]
        if pair[0] is not None and pair[1] is not None:
            shown.append((to_jpeg(pair[0]), to_jpeg(pair[1]), words[i]))
    step = max(1, len(names) // 600)
    numbered = [(loop.query, loop.match, text) for loop, text in zip(loops, words, strict=True)]
    loops_page(out / "loops.html", numbered, detector.vectors(step), step, shown, None if at is None else at[0])
    tell_unreadable(lost)
    spent = ", ".join(f"{stage} {1e3 * s / max(len(names), 1):.1f} ms" for stage, s in detector.seconds.items())
    say(f"{counted(len(names), 'keyframe')}, {counted(len(loops), 'loop')}; of a frame: {spent}")
    say(f"wrote {out}")


def parse_length(text: str) -> int | None:
    """The frames that count, None for all. Raises typer.BadParameter."""
    if text == "auto":
        return None
    if not text.isdigit() or int(text) < 1:
        raise typer.BadParameter(f"{text!r} is no number of frames: 1, 5, ..., or auto", param_hint="--sequence")
    return int(text)


def _fitted(name: str | None, source: Path, every: float | None, rate: float | None, folder: Path) -> Describer:
    """The model, fitted where it has to be on frames spread over the drive, and then kept in `folder`."""
    import tempfile

    from netvlad.describe.fit import fit
    from netvlad.loops.keyframes import to_jpeg
    from netvlad.pretrained.zoo import load
    from netvlad.types import Fittable, Saveable, needs_fit
    from netvlad.video.frames import read_frames

    if folder.exists():
        return load(folder)
    model = load(name or "default")
    if not needs_fit(model) or not isinstance(model, Fittable):
        return model
    sample: list[bytes] = []
    stride = 1
    for i, frame in enumerate(read_frames(source, every=every, rate=rate)):
        if i % stride == 0:
            sample.append(to_jpeg(frame.image))
        if len(sample) > SAMPLE:
            sample, stride = sample[::2], 2 * stride
    with tempfile.TemporaryDirectory() as held:
        paths = [Path(held) / f"{i:04d}.jpg" for i in range(len(sample))]
        for path, data in zip(paths, sample, strict=True):
            path.write_bytes(data)
        fit(model, [str(path) for path in paths], workers=0)
    if isinstance(model, Saveable):
        model.save(folder)
    return model
