"""Where the real trips of Curitiba are, if this checkout has them beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

CURITIBA = Path(__file__).parents[2] / "shared" / "data" / "curitiba"
needs_curitiba = pytest.mark.skipif(
    not CURITIBA.is_dir(), reason="the development data is not beside this checkout"
)
