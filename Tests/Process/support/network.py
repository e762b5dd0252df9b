"""The lines between the nodes of a cluster: each node reaches each other one through a link of one `atlas-db relay`.

A place is a region (its number) or a node (its name). What is done to a place is done to the links between it and all
others outside of it, or to those between it and one other place.
"""

from __future__ import annotations

from typing import Protocol

from support.relay import Relay

# Regions 1, 2 and 3 of a cluster, and the round trips between them in milliseconds.
REGION_NAMES = {1: "us-east", 2: "eu-west", 3: "ap-northeast"}
DISTANCES: dict[tuple[int, int], float] = {(1, 2): 75, (1, 3): 167, (2, 3): 212}

Place = int | str


class Member(Protocol):
    name: str
    region: int

    @property
    def address(self) -> str: ...


class Network:
    def __init__(self, nodes: list[Member], distances: dict[tuple[int, int], float]) -> None:
        self._nodes = {node.name: node for node in nodes}
        self._distances = {frozenset(pair): distance for pair, distance in distances.items()}
        self._links = [(one, other) for one in self._nodes for other in self._nodes if one != other]
        self.relay = Relay(
            *(f"--link={one}>{other}=127.0.0.1:0>{self._nodes[other].address}" for one, other in self._links)
        )
        try:
            self._ports = self.relay.ports()
            for one, other in distances:
                self.set_distance(one, other, distances[one, other])
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        self.relay.kill()

    def routes(self, name: str) -> str:
        """The setting `transport.routes` of a node."""
        routes = (
            f'{{address: "{self._nodes[other].address}", via: "127.0.0.1:{self._ports[f"{name}>{other}"]}"}}'
            for other in self._nodes
            if other != name
        )
        return f"[{', '.join(routes)}]"

    def distance(self, one: int, other: int) -> float:
        """The round trip between two regions, in milliseconds."""
        return 0 if one == other else self._distances[frozenset((one, other))]

    # What happens to it

    def set_distance(self, one: int, other: int, milliseconds: float) -> None:
        """The round trip between two regions."""
        self._distances[frozenset((one, other))] = milliseconds
        self._ask("set", one, other, delay_ms=milliseconds / 2, jitter_ms=0, rate=None)

    def slow(
        self,
        place: Place,
        other: Place | None = None,
        *,
        more_ms: float = 0,
        jitter_ms: float = 0,
        rate: int | None = None,
    ) -> None:
        """So much more delay each way than the distance has, so much jitter, so many bytes a second on each link."""
        for distance, links in self._by_distance(place, other).items():
            self._ask_links("set", links, delay_ms=distance / 2 + more_ms, jitter_ms=jitter_ms, rate=rate)

    def restore(self, place: Place, other: Place | None = None) -> None:
        """Ends `slow`."""
        self.slow(place, other)

    def cut(self, place: Place, other: Place | None = None) -> None:
        """Connections are reset, new ones too."""
        self._ask("cut", place, other)

    def cut_links(self, links: list[tuple[str, str]]) -> None:
        """Those alone that the first of each two nodes has to the second."""
        self._ask_links("cut", links)

    def stop(self, place: Place, other: Place | None = None) -> None:
        """What is sent is held until `heal`."""
        self._ask("stop", place, other)

    def drop(self, place: Place, other: Place | None = None) -> None:
        """What is sent disappears, and nobody is told."""
        self._ask("drop", place, other, direction="both")

    def drop_from(self, place: Place, other: Place | None = None) -> None:
        """What is sent from there disappears; what is sent to it arrives."""
        inside = self._inside(place)
        for name, direction in (("forward", True), ("backward", False)):
            links = [link for link in self._between(place, other) if (link[0] in inside) == direction]
            self._ask_links("drop", links, direction=name)

    def heal(self, place: Place | None = None, other: Place | None = None) -> None:
        """Ends `cut`, `stop` and `drop`, everywhere or there."""
        if place is None:
            self._ask_links("heal", self._links)
        else:
            self._ask("heal", place, other)

    # Links

    def _inside(self, place: Place) -> set[str]:
        return {name for name, node in self._nodes.items() if place in (name, node.region)}

    def _between(self, place: Place, other: Place | None) -> list[tuple[str, str]]:
        inside = self._inside(place)
        outside = set(self._nodes) - inside if other is None else self._inside(other)
        assert inside and outside and not inside & outside, f"{place} and {other} have nothing between them"
        return [
            (one, another)
            for one, another in self._links
            if (one in inside and another in outside) or (one in outside and another in inside)
        ]

    def _by_distance(self, place: Place, other: Place | None) -> dict[float, list[tuple[str, str]]]:
        found: dict[float, list[tuple[str, str]]] = {}
        for one, another in self._between(place, other):
            distance = self.distance(self._nodes[one].region, self._nodes[another].region)
            found.setdefault(distance, []).append((one, another))
        return found

    def _ask(self, op: str, place: Place, other: Place | None, **fields: object) -> None:
        self._ask_links(op, self._between(place, other), **fields)

    def _ask_links(self, op: str, links: list[tuple[str, str]], **fields: object) -> None:
        answer = self.relay.ask(op, links=[f"{one}>{other}" for one, other in links], **fields)
        assert answer.get("ok"), answer
