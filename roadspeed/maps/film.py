"""Frames of one palette to a file: GIF, APNG, or MP4 where ffmpeg is installed.

A file is written whole or not at all, and a frame at a time. MP4 is H.264 with 4:2:0 colours, which
every player and browser shows; its sizes are even, so a row or column of the ground may be added.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from itertools import chain
from typing import TYPE_CHECKING, Final

import numpy as np

from mapreduce.atomic_file import whole
from mapreduce.errors import UsageError
from roadspeed.maps.apng import write_apng
from roadspeed.maps.gif import write_gif

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from roadspeed.maps.palette import Bytes, Palette

GIF, MP4 = ".gif", ".mp4"
APNG: Final = (".png", ".apng")
ENDINGS: Final = (GIF, *APNG, MP4)
FPS: Final = 25
CRF: Final = 20


def check_ending(path: Path) -> None:
    """Raise UsageError if a film of this name cannot be written here."""
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise UsageError(f"--out {path}: an animation ends in {', '.join(ENDINGS)}")
    if ending == MP4 and shutil.which("ffmpeg") is None:
        raise UsageError(
            f"--out {path}: MP4 needs ffmpeg, which is not installed (apt-get install ffmpeg);"
            " or choose .gif or .png"
        )


def write_film(
    path: Path, frames: Iterable[Bytes], palette: Palette, seconds: float, *, count: int
) -> None:
    """Write `count` frames, uint8[h, w] of positions in the palette, each shown for some seconds.

    Raises
    ------
    UsageError
        If the name says no known format, or ffmpeg is missing or fails.
    """
    check_ending(path)
    ending = path.suffix.lower()
    with whole(path) as partial:
        if ending == GIF:
            write_gif(partial, frames, palette, seconds)
        elif ending in APNG:
            write_apng(partial, frames, palette, seconds, count=count)
        else:
            write_mp4(partial, frames, palette, seconds)


def write_mp4(path: Path, frames: Iterable[Bytes], palette: Palette, seconds: float) -> None:
    """Write an MP4 by ffmpeg, at `FPS` frames a second."""
    each = iter(frames)
    first = next(each)
    height, width = (size + size % 2 for size in first.shape)
    command = [
        shutil.which("ffmpeg") or "ffmpeg", "-loglevel", "error", "-y", "-f", "rawvideo",
        "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-framerate", f"{1 / seconds:.6f}",
        "-i", "-", "-vf", "scale=out_color_matrix=bt709:out_range=tv", "-r", str(FPS),
        "-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", str(CRF),
        "-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709",
        "-movflags", "+faststart", "-f", "mp4", str(path),
    ]  # fmt: skip
    even = np.zeros((height, width), np.uint8)
    with tempfile.TemporaryFile() as said:
        ffmpeg = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=said)
        with ffmpeg, contextlib.suppress(BrokenPipeError):  # it ended: what it said comes below
            for frame in chain([first], each):
                even[: frame.shape[0], : frame.shape[1]] = frame
                ffmpeg.stdin.write(palette.colours[even].tobytes())  # type: ignore[union-attr]
        if ffmpeg.returncode:
            said.seek(0)
            why = said.read().decode(errors="replace").strip() or f"exit code {ffmpeg.returncode}"
            raise UsageError(f"ffmpeg could not write {path.name}: {why}")
