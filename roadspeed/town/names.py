"""Names of streets, made of words of sea and shore; one name for each street, by its class."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

_FIRST = (
    "Harbour", "Lantern", "Cooper", "Tern", "Plaice", "Anchor", "Chandler", "Herring", "Sandbank",
    "Mariner", "Quay", "Gull", "Foghorn", "Keel", "Rope", "Saltmarsh", "Tide", "Compass",
    "Beacon", "Driftwood", "Curlew", "Dory", "Eider", "Fathom", "Gannet", "Halyard", "Iron",
    "Juniper", "Kittiwake", "Larkspur", "Mallow", "Netmaker", "Oyster", "Petrel", "Quern",
    "Rowan", "Samphire", "Thrift", "Umber", "Viking", "Willow", "Yarrow", "Alder", "Birch",
    "Chapel", "Dunlin", "Elm", "Fisher", "Garth", "Heron", "Isle", "Jetty", "Kestrel", "Linden",
    "Mill", "Nettle", "Orchard", "Plover", "Reed", "Sail", "Turnstone", "Upland", "Vesper",
    "Wharf", "Hawthorn", "Ash", "Brook", "Castle", "Dale", "Eastgate", "Ferry", "Grange", "Hill",
    "King", "Queen", "Market", "Moor", "North", "Old", "Park", "Priory", "Bishop", "School",
    "Station", "Temple", "Victory", "Well", "Westgate", "Abbey", "Barley", "Clover", "Daisy",
)  # fmt: skip
_LAST = {
    "trunk": ("Ring Road",),
    "primary": ("Road", "Avenue", "Way"),
    "secondary": ("Road", "Street", "Avenue"),
    "tertiary": ("Road", "Street", "Lane"),
    "residential": ("Street", "Close", "Gardens", "Lane", "Drive", "Crescent", "Place", "Walk"),
    "service": ("Yard", "Works"),
}


def name_of(highway: str, rng: np.random.Generator) -> str:
    """Make up a name for one street of class `highway`."""
    if highway.startswith("motorway"):
        return "M7" if highway == "motorway" else "M7 slip road"
    if highway == "ferry":
        return "Harbour Ferry"
    if highway == "trunk":
        return "A10 Ring Road"
    first = _FIRST[int(rng.integers(len(_FIRST)))]
    last = _LAST[highway][int(rng.integers(len(_LAST[highway])))]
    number = f"A{11 + int(rng.integers(40))} " if highway == "primary" else ""
    return f"{number}{first} {last}"
