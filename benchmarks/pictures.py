"""How long a picture takes, by number of links: tables in Markdown, of maps and of animations.

Each row is one fresh process (imports included, as a user meets them) that draws a made-up country
of links, ten vertices each, 4096 pixels wide. Peak memory is the process's own; CPU time says more
than the clock where the machine is shared. Nothing is downloaded and the pictures are thrown away.

An animation has 24 frames of an hour, 1200 pixels wide, and every link has data in most of them.

    python -m benchmarks.pictures [--films] [links ...]
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

COUNTS = (5_000, 50_000, 170_000)
VERTICES = 10
CLASSES = ("motorway", "trunk", "primary", "secondary", "tertiary", "residential", "service")
SHARES = (0.01, 0.03, 0.06, 0.1, 0.2, 0.4, 0.2)


def made_up_links(count: int) -> dict[str, Any]:
    """Return arguments of `draw` for wandering links spread over 1.5 by 1 degrees."""
    import shapely  # noqa: PLC0415 - part of what is timed

    rng = np.random.default_rng(2019)
    start = rng.uniform((-7.5, 54.0), (-6.0, 55.0), (count, 1, 2))
    step = np.sqrt(1.5 / count) / VERTICES
    bearing = rng.uniform(0, 2 * np.pi, (count, 1))
    bearing = bearing + rng.normal(0, 0.3, (count, VERTICES - 1)).cumsum(axis=1)
    moves = step * np.stack([np.cos(bearing), np.sin(bearing)], axis=2)
    points = np.concatenate([start, start + moves.cumsum(axis=1)], axis=1)
    return {
        "link_geometry": shapely.linestrings(points),
        "speed": rng.gamma(6.0, 8.0, count),
        "fixes": rng.integers(1, 500, count),
        "trips": rng.integers(1, 50, count),
        "road_class": rng.choice(np.array(CLASSES, dtype=object), count, p=SHARES),
    }


def draw_once(count: int) -> None:
    """Draw one picture and print its figures as JSON: what a fresh process does."""
    from roadspeed.maps.draw import draw  # noqa: PLC0415 - part of what is timed
    from roadspeed.maps.picture import Picture  # noqa: PLC0415 - as above

    links = made_up_links(count)
    made_s = time.perf_counter()
    picture = Picture(width_px=4096)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "map.png")
        cpu_began_s = time.process_time()
        draw(path, picture, **links)
        first_s = time.perf_counter() - made_s
        cpu_s = time.process_time() - cpu_began_s
        draw(path, picture, **links)
        size_bytes = path.stat().st_size
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    second_s = time.perf_counter() - made_s - first_s
    figures = {
        "first_s": first_s,
        "cpu_s": cpu_s,
        "second_s": second_s,
        "peak_mib": peak_kib / 1024,
        "file_mb": size_bytes / 1e6,
    }
    print(json.dumps(figures))


def film_once(count: int, ending: str) -> None:
    """Draw one animation and print its figures as JSON: what a fresh process does."""
    from roadspeed.maps.animation import draw_animation  # noqa: PLC0415 - part of what is timed
    from roadspeed.maps.cells import Cells, names_of_hours  # noqa: PLC0415 - as above
    from roadspeed.maps.picture import Picture  # noqa: PLC0415 - as above
    from roadspeed.maps.speeds_by_cell import SpeedsByCell  # noqa: PLC0415 - as above
    from roadspeed.outputs import LinkTable  # noqa: PLC0415 - as above

    links, rng = made_up_links(count), np.random.default_rng(24)
    nan = np.full(count, np.nan)
    table = LinkTable(
        unit="km/h", link=np.arange(count), fixes=links["fixes"], trips=links["trips"],
        mean=links["speed"], std=nan, ci95=nan, min=nan, max=nan,
        geometry=links["link_geometry"], road_class=links["road_class"],
    )  # fmt: skip
    speed = links["speed"] * rng.normal(1.0, 0.15, (24, count))
    found = SpeedsByCell(
        Cells("hour", names_of_hours()), "mean", rng.integers(0, 50, (24, count)).astype("f4"),
        speed.astype("f4"), pooled=False,
    )  # fmt: skip
    before, cpu_before = time.perf_counter(), children_and_self()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"film{ending}")
        draw_animation(path, Picture(width_px=1200), table, found, [*range(24)], seconds=0.5)
        size_bytes = path.stat().st_size
    figures = {
        "wall_s": time.perf_counter() - before,
        "cpu_s": children_and_self() - cpu_before,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "file_mb": size_bytes / 1e6,
    }
    print(json.dumps(figures))


def children_and_self() -> float:
    """Return CPU seconds of this process and of what it started (ffmpeg)."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(use.ru_utime + use.ru_stime for use in both)


def film_table(counts: tuple[int, ...]) -> str:
    """Measure animations of every count; return the table as Markdown."""
    rows = [
        "| Links | Format | s | CPU s | Peak, MiB | File, MB |",
        "|---:|---|---:|---:|---:|---:|",
    ]
    for count in counts:
        for ending in (".gif", ".png", ".mp4"):
            command = [sys.executable, "-m", "benchmarks.pictures", "--film", str(count), ending]
            said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            row = json.loads(said)
            rows.append(
                f"| {count:,} | {ending[1:].upper()} | {row['wall_s']:.1f} | {row['cpu_s']:.1f} "
                f"| {row['peak_mib']:.0f} | {row['file_mb']:.1f} |"
            )
    return "\n".join(rows)


def table(counts: tuple[int, ...] = COUNTS) -> str:
    """Measure every count; return the table as Markdown."""
    rows = [
        "| Links | First picture, s | CPU of it, s | Second, s | Peak, MiB | File, MB |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    for count in counts:
        command = [sys.executable, "-m", "benchmarks.pictures", "--once", str(count)]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        row = json.loads(said)
        rows.append(
            f"| {count:,} | {row['first_s']:.1f} | {row['cpu_s']:.1f} "
            f"| {row['second_s']:.1f} | {row['peak_mib']:.0f} | {row['file_mb']:.1f} |"
        )
    return "\n".join(rows)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--once"]:
        draw_once(int(sys.argv[2]))
    elif sys.argv[1:2] == ["--film"]:
        film_once(int(sys.argv[2]), sys.argv[3])
    elif sys.argv[1:2] == ["--films"]:
        print(film_table(tuple(int(text) for text in sys.argv[2:]) or COUNTS))
    else:
        print(table(tuple(int(text) for text in sys.argv[1:]) or COUNTS))
