"""How the distribution of speeds is kept, and which percentiles of it are given."""

from __future__ import annotations

from typing import Final

from roadspeed.statistics import MICRO

BUCKET_UM: Final = 2 * MICRO  # of a speed
PERCENTILES: Final = (5, 15, 50, 85, 95)
