"""Three regions at their distances: what waits for another region, and what a lost region takes along."""

from __future__ import annotations

import signal
import statistics
import time
from collections.abc import Callable, Iterator

import grpc
import pytest

from support.client import Client, Failure, fails, request_id
from support.cluster import Cluster, until, works
from support.network import DISTANCES, REGION_NAMES
from support.protos import admin_pb2
from support.protos import atlas_pb2 as pb

StartCluster = Callable[..., Cluster]
Key = Callable[[str], bytes]

# Milliseconds. What takes less has not been in another region.
NEAR_MS = min(DISTANCES.values()) / 2
# For tests that wait until a lost region has been noticed.
IMPATIENT = {"consensus.heartbeat_interval": "300ms", "consensus.election_timeout": "1500ms"}
# The owner stays where it is, whoever writes, until it is lost.
SETTLED = {**IMPATIENT, "region.ownership_policy": "none"}
MOVE_SECONDS_MAX = 30.0
# With less than about eight accesses a second the adaptive policy moves nothing.
WRITERS = 4
# How far a replica in another region lies behind while nothing is wrong.
STALENESS_MS_MAX = 5_000


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three regions of three nodes, for tests that break nothing."""
    cluster = Cluster(tmp_path_factory.mktemp("world"), [3, 3, 3], distances=DISTANCES)
    try:
        yield cluster.start()
    finally:
        cluster.kill()


def timed(call: Callable[[], object]) -> float:
    """Milliseconds."""
    began = time.monotonic()
    call()
    return (time.monotonic() - began) * 1000


def measure(count: int, call: Callable[[], object]) -> list[float]:
    return sorted(timed(call) for _ in range(count))


def owner_region(cluster: Cluster, key: bytes, region: int) -> int:
    """Where a write that is made in a region finds the owner."""
    answer = cluster.client(cluster.region(region)[0]).put(key, b"where", want_receipt=True)
    return answer.receipt.owner_region


def move_owner(cluster: Cluster, key: bytes, region: int) -> float:
    """Several clients write in a region until the owner is there. Returns the seconds that it took."""
    client = cluster.client(cluster.region(region)[0])
    request = pb.PutRequest(key=key, value=b"move", want_receipt=True)

    def is_there() -> bool:
        calls = [client.stub.Put.future(request, timeout=10) for _ in range(WRITERS)]
        return all([call.result().receipt.owner_region == region for call in calls])

    return until(is_there, f"the owner does not come to region {region}", MOVE_SECONDS_MAX)


def put_until_it_works(client: Client, key: bytes, value: bytes, within: float = 30) -> float:
    """One write, tried again with its request id. Returns the seconds that it took."""
    request = pb.PutRequest(key=key, value=value, request_id=request_id())
    return until(lambda: works(lambda: client.stub.Put(request, timeout=2)), "the write does not work", within)


def check(client: Client, expected: dict[bytes, bytes], prefix: bytes) -> None:
    found = client.scan(prefix=prefix, consistency=pb.CONSISTENCY_CONSISTENT)
    assert {item.key: item.value for item in found} == expected


def write(client: Client, key: Key, prefix: str, count: int) -> dict[bytes, bytes]:
    written: dict[bytes, bytes] = {}
    for number in range(count):
        name = key(f"{prefix}{number:04}")
        assert client.put(name, b"%d" % number).success
        written[name] = b"%d" % number
    return written


def test_the_owner_follows_the_workload(world: Cluster, key: Key) -> None:
    for region in (3, 2, 1):
        took = move_owner(world, key(), region)
        print(f"the owner came to {REGION_NAMES[region]} after {took:.1f} s")


def test_a_write_near_the_owner_waits_for_no_other_region(world: Cluster, key: Key) -> None:
    move_owner(world, key(), 1)
    paths: dict[str, int] = {}
    for node in world.region(1):
        client = world.client(node)
        client.put(key(), b"connect")
        answers: list[pb.PutResponse] = []
        took = measure(20, lambda: answers.append(client.put(key(), b"value", want_receipt=True)))
        print(f"{node.name}: median {statistics.median(took):.1f} ms, at most {took[-1]:.1f} ms")
        assert statistics.median(took) < NEAR_MS
        for answer in answers:
            assert (answer.receipt.owner_region, list(answer.receipt.quorum_regions)) == (1, [1])
            paths[node.name] = answer.receipt.path
            is_owner = answer.receipt.owner_node == node.name
            assert answer.receipt.path == (pb.Receipt.PATH_FAST if is_owner else pb.Receipt.PATH_FORWARDED)
    assert pb.Receipt.PATH_FAST in paths.values()


def test_a_write_from_another_region_takes_one_round_trip(world: Cluster, key: Key) -> None:
    move_owner(world, key(), 1)
    for region in (2, 3):
        client = world.client(world.region(region)[0])
        client.get(key(), consistency=pb.CONSISTENCY_LOCAL)
        answer = client.put(key(), b"value", want_receipt=True)
        took = answer.receipt.server_time_us / 1000
        print(f"{REGION_NAMES[region]}: {took:.1f} ms")
        assert answer.receipt.path == pb.Receipt.PATH_FORWARDED
        assert list(answer.receipt.quorum_regions) == [1]
        assert took >= world.network.distance(1, region) - 1


def test_local_reads_are_near_and_consistent_ones_cost_the_distance(world: Cluster, key: Key) -> None:
    move_owner(world, key(), 1)
    version = world.client(world.region(1)[0]).put(key(), b"value").version
    for region in (2, 3):
        client = world.client(world.region(region)[1])
        local = pb.GetRequest(key=key(), consistency=pb.CONSISTENCY_LOCAL, want_receipt=True)
        until(lambda: client.stub.Get(local, timeout=5).version == version, "the write does not arrive", 10)
        answers: list[pb.GetResponse] = []
        took = measure(20, lambda: answers.append(client.stub.Get(local, timeout=5)))
        staleness = [answer.receipt.staleness_ms for answer in answers]
        local_ms = statistics.median(took)
        assert local_ms < NEAR_MS
        distance = world.network.distance(1, region)
        for answer in answers:
            assert (answer.value, answer.version) == (b"value", version)
            assert answer.receipt.path == pb.Receipt.PATH_LOCAL
            # Nobody can know what the owner has closed sooner than half a round trip later.
            assert distance / 2 - 1 <= answer.receipt.staleness_ms <= STALENESS_MS_MAX
        answer = client.get(key(), consistency=pb.CONSISTENCY_CONSISTENT, want_receipt=True)
        consistent = answer.receipt.server_time_us / 1000
        print(f"{REGION_NAMES[region]}: local {local_ms:.1f} ms, stale by up to {max(staleness)} ms; ", end="")
        print(f"consistent {consistent:.1f} ms")
        assert (answer.value, answer.receipt.staleness_ms) == (b"value", 0)
        assert answer.receipt.path == pb.Receipt.PATH_FORWARDED
        assert consistent >= distance - 1


def test_who_writes_in_one_region_reads_that_in_another(world: Cluster, key: Key) -> None:
    writer = world.client(world.region(1)[0])
    readers = [world.client(world.region(region)[0]) for region in (2, 3)]
    for number in range(10):
        value = b"%d" % number
        version = writer.put(key(), value).version
        for reader in readers:
            found = reader.get(key(), consistency=pb.CONSISTENCY_LOCAL, min_version=version)
            assert (found.value, found.version) == (value, version)
    deleted = writer.delete(key()).version
    for reader in readers:
        assert not reader.get(key(), consistency=pb.CONSISTENCY_LOCAL, min_version=deleted).found


def test_a_global_write_names_the_regions_that_have_it(world: Cluster, key: Key) -> None:
    assert len(write_globally(world, key()).quorum_regions) >= 2


def write_globally(world: Cluster, key: bytes) -> pb.Receipt:
    move_owner(world, key, 1)
    client = world.client(world.region(1)[0])
    return client.put(key, b"value", write_level=pb.WRITE_LEVEL_GLOBAL, want_receipt=True).receipt


def test_a_global_write_waits_for_another_region(world: Cluster, key: Key) -> None:
    for _ in range(5):
        took = write_globally(world, key()).server_time_us / 1000
        assert took >= min(DISTANCES.values()) - 1


def test_distances_that_change(world: Cluster, key: Key) -> None:
    """The owner stays; what is far away becomes near."""
    move_owner(world, key(), 1)
    client = world.client(world.region(3)[0])
    world.network.set_distance(1, 3, 20)
    try:
        took = measure(3, lambda: client.put(key(), b"value"))
        assert took[0] < DISTANCES[1, 3] / 2
    finally:
        world.network.set_distance(1, 3, DISTANCES[1, 3])


def test_any_region_may_be_lost(start_cluster: StartCluster, key: Key) -> None:
    """Survive: region. The one that goes is the one that owned everything."""
    cluster = start_cluster([3, 3, 3], {**SETTLED, "cluster.survive": "region"}, distances=DISTANCES)
    lost = owner_region(cluster, key("where"), 1)
    left = [region for region in REGION_NAMES if region != lost]
    expected = {key("where"): b"where"}
    answer = cluster.client(cluster.region(lost)[0]).put(key("two"), b"two", want_receipt=True)
    expected[key("two")] = b"two"
    assert len(answer.receipt.quorum_regions) == 2 and lost in answer.receipt.quorum_regions
    for region in REGION_NAMES:
        expected |= write(cluster.client(cluster.region(region)[0]), key, f"before{region}/", 10)
    for node in cluster.region(lost):
        node.kill()
    client = cluster.client(cluster.region(left[0])[0])
    took = put_until_it_works(client, key("after"), b"after")
    print(f"without {REGION_NAMES[lost]}, writes went on after {took:.1f} s")
    expected[key("after")] = b"after"
    for region in left:
        client = cluster.client(cluster.region(region)[0])
        check(client, expected, key())
        expected |= write(client, key, f"without{region}/", 5)
    for node in cluster.region(lost):
        node.start()
    for node in cluster.region(lost):
        cluster.wait_until_it_serves(node)
        check(cluster.client(node), expected, key())


def test_a_lost_region_takes_what_it_owned_along_and_brings_it_back(start_cluster: StartCluster, key: Key) -> None:
    """Survive: node. Nothing is lost, and whoever asks is told who is missing."""
    cluster = start_cluster([1, 1, 1], SETTLED, distances=DISTANCES)
    lost = owner_region(cluster, key("where"), 1)
    left = [region for region in REGION_NAMES if region != lost]
    expected = {key("where"): b"where"}
    for region in REGION_NAMES:
        expected |= write(cluster.client(cluster.region(region)[0]), key, f"before{region}/", 10)
    (missing,) = cluster.region(lost)
    missing.kill()
    for region in left:
        client = cluster.client(cluster.region(region)[0])
        failure = Failure()

        def names_the_missing(client: Client = client, failure: Failure = failure) -> bool:
            try:
                client.stub.Put(pb.PutRequest(key=key("lost"), value=b"?", request_id=request_id()), timeout=2)
            except grpc.RpcError as error:
                failure.take(error)
                return failure.status == grpc.StatusCode.UNAVAILABLE and failure.code == "NO_QUORUM"
            raise AssertionError("a write succeeded without the only owner there can be")

        until(names_the_missing, f"{failure.status} {failure.message}", 20)
        assert failure.detail is not None
        assert list(failure.detail.missing_regions) == [lost]
        assert list(failure.detail.missing_nodes) == [missing.name]
    missing.start()
    for region in REGION_NAMES:
        client = cluster.client(cluster.region(region)[0])
        put_until_it_works(client, key(f"after{region}"), b"after")
        expected[key(f"after{region}")] = b"after"
    found = {item.key: item.value for item in client.scan(prefix=key(), consistency=pb.CONSISTENCY_CONSISTENT)}
    # Those that failed may have taken effect since.
    found.pop(key("lost"), None)
    assert found == expected


def remove(client: Client, name: str, timeout: float = 30) -> admin_pb2.RemoveNodeResponse:
    return client.admin.RemoveNode(admin_pb2.RemoveNodeRequest(node_id=name), timeout=timeout)


def test_a_region_that_does_not_come_back_is_removed(start_cluster: StartCluster, key: Key) -> None:
    """Where something else owns the tablets. With it gone, ownership can move between the regions that are left again."""
    cluster = start_cluster([1, 1, 1], IMPATIENT, distances=DISTANCES)
    home = owner_region(cluster, key("where"), 1)
    lost, other = [region for region in REGION_NAMES if region != home]
    client = cluster.client(cluster.region(home)[0])
    expected = write(client, key, "before/", 10) | {key("where"): b"where"}
    (gone,) = cluster.region(lost)
    gone.kill()
    expected |= write(client, key, "without/", 10)
    assert remove(client, gone.name).tablets_changed == 1
    expected |= write(client, key, "removed/", 10)
    move_owner(cluster, key("move"), other)
    client = cluster.client(cluster.region(other)[0])
    found = {item.key: item.value for item in client.scan(prefix=key(), consistency=pb.CONSISTENCY_CONSISTENT)}
    assert found.pop(key("move")) == b"move"
    assert found == expected


def test_what_a_lost_region_owned_cannot_be_removed_from_it(start_cluster: StartCluster, key: Key) -> None:
    """Survive: node. The last writes may be there alone, so nobody else may decide that there were none."""
    cluster = start_cluster([1, 1, 1], IMPATIENT, distances=DISTANCES)
    lost = owner_region(cluster, key("where"), 1)
    (gone,) = cluster.region(lost)
    # Cut off, it goes on with what it owns.
    cluster.network.cut(lost)
    expected = write(cluster.client(gone), key, "alone/", 10) | {key("where"): b"where"}
    cluster.network.heal(lost)
    left = [cluster.client(cluster.region(region)[0]) for region in REGION_NAMES if region != lost]
    for client in left:
        until(lambda client=client: client.get(key("alone/0009")).found, "the copies are behind")  # type: ignore[misc]
    gone.kill()
    # The node gives up after 30 s; who gives up before does not hear why.
    with fails("UNAVAILABLE") as failure:
        remove(left[0], gone.name, timeout=60)
    assert failure.detail is not None
    assert list(failure.detail.missing_nodes) == [gone.name]
    for client in left:
        # The copies can be read, by who says that old ones will do.
        found = {item.key: item.value for item in client.scan(prefix=key(), consistency=pb.CONSISTENCY_LOCAL)}
        assert found == expected
    gone.start()
    for region in REGION_NAMES:
        put_until_it_works(cluster.client(cluster.region(region)[0]), key("after"), b"after")


@pytest.mark.parametrize("who", ["owner", "follower"])
def test_a_region_that_is_cut_off_serves_local_reads(start_cluster: StartCluster, key: Key, who: str) -> None:
    cluster = start_cluster([1, 1, 1], {**IMPATIENT, "cluster.survive": "region"}, distances=DISTANCES)
    owner = owner_region(cluster, key("where"), 1)
    region = owner if who == "owner" else owner % 3 + 1
    inside = cluster.client(cluster.region(region)[0])
    outside = cluster.client(cluster.region(region % 3 + 1)[0])
    version = outside.put(key(), b"before").version
    assert inside.get(key(), consistency=pb.CONSISTENCY_LOCAL, min_version=version).value == b"before"
    cluster.network.cut(region)
    put_until_it_works(outside, key(), b"after")
    local = pb.GetRequest(key=key(), consistency=pb.CONSISTENCY_LOCAL, want_receipt=True)
    first = inside.stub.Get(local, timeout=5)
    assert (first.value, first.version) == (b"before", version)
    # It says that it falls behind.
    until(lambda: inside.stub.Get(local, timeout=5).receipt.staleness_ms > 2_000, "the staleness does not grow")
    assert statistics.median(measure(9, lambda: inside.stub.Get(local, timeout=5))) < NEAR_MS
    with pytest.raises(grpc.RpcError):
        inside.stub.Get(pb.GetRequest(key=key(), consistent_read=True), timeout=1)
    with pytest.raises(grpc.RpcError):
        inside.stub.Get(pb.GetRequest(key=key(), max_staleness_ms=500, consistency=pb.CONSISTENCY_LOCAL), timeout=1)
    cluster.network.heal(region)
    until(lambda: inside.stub.Get(local, timeout=5).value == b"after", "it does not catch up")
    put_until_it_works(inside, key(), b"healed")


def test_an_owner_that_slept_through_its_lease_serves_nothing_old(start_cluster: StartCluster, key: Key) -> None:
    cluster = start_cluster([1, 1, 1], {**IMPATIENT, "cluster.survive": "region"}, distances=DISTANCES)
    for round in range(3):
        sleeper = cluster[cluster.owner(cluster.nodes[0])]
        other = cluster.client(next(node for node in cluster.nodes if node is not sleeper))
        put_until_it_works(other, key(), b"old %d" % round)
        asked = cluster.client(sleeper)
        request = pb.GetRequest(key=key(), consistent_read=True)
        assert asked.stub.Get(request, timeout=10).value == b"old %d" % round
        sleeper.signal(signal.SIGSTOP)
        try:
            put_until_it_works(other, key(), b"new %d" % round)
            # These wait in the socket and are the first thing that it finds when it wakes up.
            reads = [asked.stub.Get.future(request, timeout=30) for _ in range(20)]
        finally:
            sleeper.signal(signal.SIGCONT)
        reads += [asked.stub.Get.future(request, timeout=30) for _ in range(20)]
        answers = [read.result() for read in reads if read.exception() is None]
        assert {answer.value for answer in answers} <= {b"new %d" % round}
        cluster.wait_until_it_serves(sleeper)
        assert asked.get(key(), consistent_read=True).value == b"new %d" % round
