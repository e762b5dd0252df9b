"""A full disk: writes are refused clearly, reads and deletes go on, and it passes without a restart."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest

from support.client import Client, Failure, delete_op, fails, put_op
from support.disk import NoLoopDevice, free_bytes, occupy, small_disk
from support.protos import admin_pb2
from support.protos import atlas_pb2 as pb
from support.server import Server, StartFailed
from support.session import Session, error_of

MIB = 1 << 20
DISK = 320 * MIB
RESERVE = 32 * MIB
SETTINGS: dict[str, object] = {
    "storage.disk_reserve": "32MiB",
    "storage.log_segment_size": "2MiB",
    "storage.write_buffer_size": "1MiB",
    "limits.max_batch_size": "1MiB",
    "limits.max_value_size": "256KiB",
}
VALUE_SIZE = 64 << 10
RECOVERY_SECONDS = 10.0
# The free space is looked at so often; what is written before may have to wait for space.
NOTICE_SECONDS = 0.5
WAIT_MILLISECONDS = 2_000


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    try:
        mounted = small_disk(tmp_path / "small", DISK)
        path = mounted.__enter__()
    except NoLoopDevice as reason:
        pytest.skip(f"NOT TESTED, a full disk: {reason}")
    try:
        yield path
    finally:
        mounted.__exit__(None, None, None)


@pytest.fixture
def server(disk: Path, start_server: Callable[..., Server]) -> Iterator[Server]:
    running = start_server(SETTINGS, data=disk / "data")
    yield running
    running.kill()


class Contents:
    """What was written and acknowledged."""

    def __init__(self) -> None:
        self.versions: dict[bytes, int] = {}
        # Deletes whose outcome is not known.
        self.uncertain: dict[bytes, int] = {}

    def write(self, client: Client, count: int) -> None:
        for number in range(count):
            key = b"%d" % number
            self.versions[key] = client.put(key, os.urandom(VALUE_SIZE)).version

    def write_until_refused(self, client: Client, count: int = 10_000) -> Failure:
        """Values that cannot be compressed, until the server takes no more."""
        for number in range(count):
            key = b"%06d" % (len(self.versions) + number)
            try:
                self.versions[key] = client.put(key, os.urandom(VALUE_SIZE)).version
            except grpc.RpcError as error:
                failure = Failure()
                failure.take(error)
                if failure.code == "OVERLOADED":
                    time.sleep(0.05)
                    continue
                return failure
        raise AssertionError("the disk does not fill")

    def batch_until_refused(self, client: Client) -> None:
        """RocksDB gives space back as it tidies up, and the server rightly uses it: fill that too, and try again."""
        for number in range(50):
            key = b"batch-%d" % number
            try:
                client.batch(delete_op(b"none"), put_op(key, os.urandom(VALUE_SIZE)))
            except grpc.RpcError as error:
                failure = Failure()
                failure.take(error)
                return check_refusal(failure)
            self.versions[key] = client.get(key).version
            check_refusal(self.write_until_refused(client))
        raise AssertionError("batches are taken while puts are refused")

    def check(self, client: Client) -> None:
        found = {}
        for message in client.scan(items_per_message=10):
            for item in message.items:
                assert len(item.value) == VALUE_SIZE
                found[item.key] = item.version
        for key in self.uncertain:
            found.pop(key, None)
        assert found == self.versions

    def delete(self, client: Client, count: int) -> None:
        for key in sorted(self.versions)[:count]:
            assert client.delete(key).existed
            del self.versions[key]

    def try_to_delete(self, client: Client, key: bytes) -> None:
        """Where even the reserve is gone: it works, is refused, or (the one that noticed first) waits for space, but not
        longer than it is told to."""
        with Session(client) as session:
            delete = pb.DeleteRequest(key=key)
            session.send(pb.SessionCall(id=1, delete=delete, timeout_ms=WAIT_MILLISECONDS))
            answer = session.answer(1)
        if answer.HasField("delete"):
            del self.versions[key]
        elif error_of(answer) == ("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED"):
            assert answer.error.detail.outcome_unknown
            self.uncertain[key] = self.versions.pop(key)
        else:
            assert error_of(answer) == ("RESOURCE_EXHAUSTED", "DISK_FULL"), answer

    def settle(self, client: Client) -> None:
        """There is space again: what waited has happened or will never happen."""
        for key, version in self.uncertain.items():
            if (found := client.get(key, consistent_read=True)).found:
                assert found.version == version
                self.versions[key] = version
        self.uncertain.clear()


def wait_until_writes_work(client: Client, contents: Contents) -> None:
    end = time.monotonic() + RECOVERY_SECONDS
    while True:
        key = b"~%d" % len(contents.versions)
        try:
            contents.versions[key] = client.put(key, os.urandom(VALUE_SIZE)).version
            return
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED, error
            assert time.monotonic() < end, f"still refused: {error.details()}"
            time.sleep(0.1)


def check_refusal(failure: Failure) -> None:
    assert failure.status == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert failure.code == "DISK_FULL"
    assert failure.detail.retry_after_ms > 0
    assert "storage.disk_reserve" in failure.message and "reads" in failure.message
    assert not failure.detail.outcome_unknown


def test_filled_by_writes(disk: Path, server: Server) -> None:
    contents = Contents()
    with server.channel() as channel:
        client = Client(channel)
        check_refusal(contents.write_until_refused(client))
        assert len(contents.versions) * VALUE_SIZE > 30 * MIB, "refused long before the disk was full"
        assert free_bytes(disk) > 0, "the reserve is used up"
        # Reads go on, deletes too, each kind of write that takes space is refused.
        contents.check(client)
        contents.batch_until_refused(client)
        contents.delete(client, 20)
        assert client.batch(delete_op(b"none")).success
        contents.check(client)
    # It can be killed and started in this state.
    server.restart()
    with server.channel() as channel:
        client = Client(channel)
        contents.check(client)
        # Segments that were prepared ahead may have become free by the restart, but not much.
        before = len(contents.versions)
        check_refusal(contents.write_until_refused(client))
        assert (len(contents.versions) - before) * VALUE_SIZE < DISK // 2
        # By now RocksDB may have used up what it needs to tidy up: then deletes are refused as well, and nothing is lost.
        for key in sorted(contents.versions)[:5]:
            contents.try_to_delete(client, key)
        contents.check(client)


def test_filled_by_somebody_else(disk: Path, server: Server) -> None:
    contents = Contents()
    foreign = disk / "foreign"
    with server.channel() as channel:
        client = Client(channel)
        contents.write(client, 50)
        for _ in range(3):
            occupy(foreign, leaving=RESERVE // 2)
            check_refusal(contents.write_until_refused(client))
            contents.check(client)
            contents.delete(client, 3)
            foreign.unlink()
            wait_until_writes_work(client, contents)
            assert client.stats().storage.accepts_writes
        contents.check(client)
    server.restart()
    with server.channel() as channel:
        contents.check(Client(channel))


def eventually(holds: Callable[[], bool], otherwise: str) -> None:
    end = time.monotonic() + RECOVERY_SECONDS
    while not holds():
        assert time.monotonic() < end, otherwise
        time.sleep(0.1)


# With a little space the store can be opened, but not flushed.
@pytest.mark.parametrize("leaving", [0, 3 * MIB, 6 * MIB])
@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_not_a_byte_left(disk: Path, server: Server, how: str, leaving: int) -> None:
    """Nothing that was acknowledged is lost, and as soon as there is space all is as before."""
    contents = Contents()
    foreign = disk / "foreign"
    with server.channel() as channel:
        client = Client(channel)
        contents.write(client, 50)
        occupy(foreign, leaving=0)
        time.sleep(NOTICE_SECONDS)
        check_refusal(contents.write_until_refused(client))
        contents.check(client)
        for key in sorted(contents.versions)[:10]:
            contents.try_to_delete(client, key)
        assert len(contents.uncertain) <= 1, "only the first may have to wait"
        contents.check(client)
        # A flush cannot work now. It says so, and the server goes on.
        with fails("RESOURCE_EXHAUSTED", "DISK_FULL"):
            client.admin.Flush(admin_pb2.FlushRequest(), timeout=30)
        contents.check(client)
    if how == "killed":
        server.kill()
    else:
        server.stop()
    # What its last attempts have given back is taken too. The ballast lets it start like this.
    more = disk / "more"
    occupy(more, leaving=leaving)
    server.start()
    with server.channel() as channel:
        contents.check(Client(channel))
    eventually(lambda: not (disk / "data" / "ballast").exists(), "there was space after all")
    foreign.unlink()
    more.unlink()
    with server.channel() as channel:
        client = Client(channel)
        wait_until_writes_work(client, contents)
        contents.settle(client)
        contents.check(client)
    # The next start has space to begin with again.
    server.restart()
    eventually((disk / "data" / "ballast").exists, "no ballast")


def test_not_even_ballast(disk: Path, server: Server) -> None:
    """Where the ballast is gone too, it says why it does not start, and starts when there is space."""
    contents = Contents()
    foreign = disk / "foreign"
    with server.channel() as channel:
        client = Client(channel)
        contents.write(client, 50)
    server.kill()
    (disk / "data" / "ballast").unlink()
    occupy(foreign, leaving=0)
    with pytest.raises(StartFailed, match="No space left|full"):
        server.start()
    foreign.unlink()
    server.start()
    with server.channel() as channel:
        contents.check(Client(channel))


def test_a_flush_that_had_no_space_is_made_up_for(disk: Path, server: Server) -> None:
    contents = Contents()
    foreign = disk / "foreign"
    with server.channel() as channel:
        client = Client(channel)
        contents.write(client, 50)
        occupy(foreign, leaving=0)
        with fails("RESOURCE_EXHAUSTED", "DISK_FULL"):
            client.admin.Flush(admin_pb2.FlushRequest(), timeout=30)
        foreign.unlink()
        wait_until_writes_work(client, contents)
        client.admin.Flush(admin_pb2.FlushRequest(), timeout=30)
        contents.check(client)
    server.restart()
    with server.channel() as channel:
        contents.check(Client(channel))
