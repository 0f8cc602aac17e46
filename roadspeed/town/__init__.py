"""The demo town and its trips: generated, the same for everyone, and no real place.

`Town.generate` makes Doggerhaven, a harbour town on the Dogger Bank, where there is only sea:
streets that grew, a ring, a motorway that snakes through, a river with a few bridges and a
ferry. `Town.trip` tells of one drive in it, in the full 2019 shape; `make_town` writes all.
Nothing here reads input or knows how speeds are computed.
"""

from roadspeed.town.town import DEFAULT_SEED, Town
from roadspeed.town.writing import Made, make_town, trip_bytes, trip_key, write_trips

__all__ = ["DEFAULT_SEED", "Made", "Town", "make_town", "trip_bytes", "trip_key", "write_trips"]
