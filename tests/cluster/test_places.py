"""Where hosts read: nodes that share a store, the nearest one, folders that all hosts see."""

from __future__ import annotations

import json
import os
import threading
from typing import TYPE_CHECKING, Any

import pytest

from mapreduce.cluster.coordinator.locations import Locations
from mapreduce.cluster.engine import Cluster
from mapreduce.cluster.schedule.rules import Rules
from mapreduce.engine import Sites
from mapreduce.objects import Entry, Location
from mapreduce.objects.node_health import SILENT_S, Nodes
from mapreduce.plan import Piece
from mapreduce.runs.driver import Options, run
from tests.cluster.launching import Processes
from tests.cluster.stand_in import soon
from tests.jobs.counting import Links
from tests.services.proxy import Fault, proxied

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mapreduce.cluster.protocol.agent_config import AgentConfig
    from tests.services.seaweed import Seaweed

OBJECTS = {
    f"trips/{n:03}": json.dumps({"data": [{"link": n % 5, "v": float(n)}] * 50}).encode()
    for n in range(60)
}

BEATING = Rules(heartbeat_s=0.1)


def _piece(ordinal: int) -> Piece:
    return Piece(ordinal, f"k{ordinal}", 10, "e")


class _Nodes:
    """A store that signs nothing."""

    def __init__(self, *endpoints: str) -> None:
        self.endpoints = endpoints

    def locate_at(self, entry: Entry, endpoints: Sequence[str]) -> Location:
        urls = [f"{e}/{entry.key}" for e in endpoints]
        return Location(url=urls[0], others=tuple(urls[1:]))


def _plain(piece: Piece) -> Location:
    return Location(url=f"plain/{piece.key}")


def _hosts_of(location: Location) -> list[str]:
    return [url.partition("/")[0] for url in (str(location.url), *location.others)]


def test_each_node_is_first_and_each_second_for_as_many_objects() -> None:
    places = Locations(_plain, {}, spread=_Nodes("a", "b", "c", "d"))
    orders = [_hosts_of(places.there("pi", 1, _piece(n))) for n in range(24)]
    for place in range(3):
        asked = [order[place] for order in orders]
        assert {node: asked.count(node) for node in "abcd"} == dict.fromkeys("abcd", 6)
    assert all(len({*order}) == 3 for order in orders)


def test_a_host_asks_its_own_node_first_and_others_take_turns_behind_it() -> None:
    places = Locations(_plain, {}, spread=_Nodes("a", "b"), nearest={"pi1": "b", "pi2": "z"})
    first = [_hosts_of(places.there("pi1", 1, _piece(n))) for n in range(4)]
    assert first == [["b", "a"]] * 4
    second = [_hosts_of(places.there("pi2", 1, _piece(n))) for n in range(2)]
    assert second == [["z", "a", "b"], ["z", "b", "a"]]


def test_a_store_of_one_node_is_asked_as_it_says_itself() -> None:
    places = Locations(_plain, {}, spread=_Nodes("a"))
    assert _hosts_of(places.there("pi", 1, _piece(3))) == ["plain"]


def test_nodes_share_the_reading_and_when_one_dies_the_others_go_on(
    seaweed: Seaweed, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in seaweed.environ.items():
        if name != "AWS_ENDPOINT_URL_S3":
            monkeypatch.setenv(name, value)
    bucket = seaweed.bucket()
    seaweed.put(bucket, OBJECTS)
    source = f"s3://{bucket}"
    local = run(Links(), source, workers=1, options=Options(endpoint=seaweed.endpoint))
    with (
        seaweed.another_gateway() as second,
        proxied(seaweed.endpoint.removeprefix("http://")) as one,
        proxied(second.endpoint.removeprefix("http://")) as other,
    ):

        def cluster(*nodes: str, **given: Any) -> Cluster:
            sites = Sites(nodes)
            return Cluster({"a": 1}, Processes(), address="127.0.0.3", sites=sites, **given)

        both = cluster(one.endpoint, other.endpoint)
        assert run(Links(), source, engine=both).digest == local.digest
        reads = [[a for a in p.asked if "X-Amz-Signature" in a.path] for p in (one, other)]
        assert [len(r) for r in reads] == [30, 30]
        second.kill()
        release = threading.Event()
        one.lay(*[Fault()] * 30, Fault(hold=release))  # so that there is time to tell
        engine = cluster(second.endpoint, one.endpoint, rules=BEATING)

        def tell() -> None:
            soon(lambda: engine.status is not None and engine.status.news)
            release.set()

        one.asked.clear()
        telling = threading.Thread(target=tell)
        telling.start()
        assert run(Links(), source, engine=engine).digest == local.digest
        telling.join()
        assert len([a for a in one.asked if "X-Amz-Signature" in a.path]) == 60
        assert engine.status is not None
        (news,) = engine.status.news
        assert news.startswith(second.endpoint.removeprefix("http://"))
        assert "does not answer a" in news


def test_a_node_that_was_silent_is_asked_last_for_a_while() -> None:
    nodes = Nodes()
    nodes.was_silent("b", 100.0)
    assert nodes.in_order(["b", "a"], str, 101.0) == ["a", "b"]
    assert nodes.in_order(["b"], str, 101.0) == ["b"]
    assert nodes.in_order(["b", "a"], str, 100.0 + SILENT_S) == ["b", "a"]
    assert nodes.silent == ("b",)


class _LateSeer(Processes):
    """Starts host `a` once all others have been found to see nothing."""

    def __init__(self, before: dict[str, list[str]]) -> None:
        super().__init__(before=before)
        self.engine: Cluster | None = None

    def start(self, host: str, config: AgentConfig) -> None:
        if host == "a":
            assert soon(lambda: self.blind() == {"b", "c"}, 60.0)
        super().start(host, config)

    def blind(self) -> set[str]:
        status = self.engine.status if self.engine is not None else None
        hosts = status.hosts if status is not None else ()
        return {h.host for h in hosts if "does not see" in h.note}


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root")
def test_a_host_that_does_not_see_a_shared_folder_spoils_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "shared" / "trips"
    for key, body in OBJECTS.items():
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        (folder / key).write_bytes(body)
    (folder / "gone-at-once").symlink_to("nowhere")  # which is so for all: quarantined
    hide = 'mount -t tmpfs none "$0" && exec "$@"'
    before = {
        "b": ["unshare", "-m", "sh", "-c", hide, str(folder)],  # there, and empty: not mounted
        "c": ["unshare", "-m", "sh", "-c", hide, str(folder.parent)],  # not there at all
    }
    launcher = _LateSeer(before)
    engine = Cluster(
        dict.fromkeys("abc", 1),
        launcher,
        address="127.0.0.3",
        rules=Rules(store_wait_s=0.1),
        sites=Sites(shared=(str(tmp_path / "shared"),)),
    )
    launcher.engine = engine
    local = run(Links(), folder, workers=1)
    got = run(Links(), folder, engine=engine, options=Options(split_bytes=200_000))
    assert got.digest == local.digest
    assert got.receipt["objects"] == local.receipt["objects"]
    assert [q.key for q in got.ledger.quarantined] == ["gone-at-once"]
    assert engine.status is not None
    done = {h.host: h.done for h in engine.status.hosts}
    assert done["a"] > 0
    assert done["b"] + done["c"] <= 1  # in truth: of the one that is gone for all


def test_hosts_read_a_shared_folder_by_themselves_and_the_rest_from_here() -> None:
    def here(piece: Piece) -> Location:
        return Location(path=f"/mnt/{piece.key}")

    places = Locations(here, {"pi": "https://c/"}, shared=("/mnt/trips",))
    inside = Piece(1, "trips/1", 10, "e")
    assert places.there("pi", 7, inside) == Location(path="/mnt/trips/1", elsewhere=True)
    beside = Piece(2, "trips-old/1", 10, "e")
    assert places.there("pi", 7, beside) == Location(url="https://c/7/2")
