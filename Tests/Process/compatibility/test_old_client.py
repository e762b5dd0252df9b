"""A client generated from the first definition, against the real server: every field, set and unset."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType

import grpc
import pytest

from support.protos import legacy_pb2, legacy_pb2_grpc
from support.server import Server

pb: ModuleType = legacy_pb2
DEADLINE = 20.0


@pytest.fixture
def old(server: Server) -> Iterator[object]:
    with server.channel() as channel:
        yield legacy_pb2_grpc.AtlasDBStub(channel)


@pytest.fixture
def name(key: Callable[[str], bytes]) -> Callable[[str], str]:
    return lambda text="": key(text).decode()


def get(old: object, key: str, **fields: object) -> object:
    return old.Get(pb.GetRequest(key=key, **fields), timeout=DEADLINE)


def put(old: object, key: str, value: bytes = b"v", **fields: object) -> object:
    return old.Put(pb.PutRequest(key=key, value=value, **fields), timeout=DEADLINE)


def delete(old: object, key: str, **fields: object) -> object:
    return old.Delete(pb.DeleteRequest(key=key, **fields), timeout=DEADLINE)


def scan(old: object, **fields: object) -> list[object]:
    return list(old.Scan(pb.ScanRequest(**fields), timeout=DEADLINE))


def batch(old: object, *operations: object) -> list[object]:
    return list(old.Batch(pb.BatchRequest(operations=operations), timeout=DEADLINE).results)


# Put and Get


def test_put_answers_success_version_and_no_error(old: object, name: Callable[..., str]) -> None:
    answer = put(old, name())
    assert answer.success is True
    assert answer.version > 0
    assert answer.error == ""


def test_get_answers_value_found_and_version(old: object, name: Callable[..., str]) -> None:
    written = put(old, name(), b"\x00\xffbytes").version
    answer = get(old, name())
    assert (answer.value, answer.found, answer.version) == (b"\x00\xffbytes", True, written)


def test_get_of_an_absent_key_is_no_error(old: object, name: Callable[..., str]) -> None:
    answer = get(old, name())
    assert (answer.value, answer.found, answer.version) == (b"", False, 0)


@pytest.mark.parametrize("consistent", [False, True])
def test_consistent_read_set_and_unset(old: object, name: Callable[..., str], consistent: bool) -> None:
    for number in range(20):
        written = put(old, name(), str(number).encode())
        answer = get(old, name(), consistent_read=consistent)
        assert (answer.value, answer.version) == (str(number).encode(), written.version)


def test_an_empty_value_is_a_value(old: object, name: Callable[..., str]) -> None:
    written = put(old, name(), b"")
    answer = get(old, name())
    assert (answer.value, answer.found, answer.version) == (b"", True, written.version)


def test_a_request_without_any_field_is_refused(old: object) -> None:
    for call, request in (
        (old.Get, pb.GetRequest()),
        (old.Put, pb.PutRequest()),
        (old.Delete, pb.DeleteRequest()),
    ):
        with pytest.raises(grpc.RpcError) as caught:
            call(request, timeout=DEADLINE)
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert "key" in caught.value.details()


def test_versions_of_a_key_grow(old: object, name: Callable[..., str]) -> None:
    versions = [put(old, name()).version for _ in range(50)]
    assert versions == sorted(set(versions))


# Conditions


def test_put_with_the_expected_version(old: object, name: Callable[..., str]) -> None:
    first = put(old, name(), b"1").version
    answer = put(old, name(), b"2", expected_version=first)
    assert answer.success and answer.version > first
    assert get(old, name()).value == b"2"


def test_put_with_another_version_changes_nothing(old: object, name: Callable[..., str]) -> None:
    first = put(old, name(), b"1").version
    for wrong in (first - 1, first + 1, 2**63 - 1):
        answer = put(old, name(), b"2", expected_version=wrong)
        assert answer.success is False
        assert answer.version == 0
        assert str(first) in answer.error and str(wrong) in answer.error
    present = get(old, name())
    assert (present.value, present.version) == (b"1", first)


def test_put_of_an_absent_key_with_an_expected_version(old: object, name: Callable[..., str]) -> None:
    answer = put(old, name(), b"1", expected_version=7)
    assert answer.success is False and answer.version == 0 and answer.error != ""
    assert get(old, name()).found is False


def test_expected_version_zero_is_unset(old: object, name: Callable[..., str]) -> None:
    put(old, name(), b"1")
    assert put(old, name(), b"2", expected_version=0).success
    assert delete(old, name(), expected_version=0).success


# Delete


def test_delete_answers_success_and_no_error(old: object, name: Callable[..., str]) -> None:
    put(old, name())
    answer = delete(old, name())
    assert (answer.success, answer.error) == (True, "")
    assert get(old, name()).found is False


def test_delete_of_an_absent_key_succeeds(old: object, name: Callable[..., str]) -> None:
    answer = delete(old, name())
    assert (answer.success, answer.error) == (True, "")


def test_delete_with_the_expected_version(old: object, name: Callable[..., str]) -> None:
    written = put(old, name()).version
    refused = delete(old, name(), expected_version=written + 1)
    assert refused.success is False and str(written) in refused.error
    assert get(old, name()).version == written
    assert delete(old, name(), expected_version=written).success
    assert get(old, name()).found is False


# Scan


@pytest.fixture
def five(old: object, name: Callable[..., str]) -> dict[str, tuple[bytes, int]]:
    items = {}
    for letter in "abcde":
        value = letter.upper().encode()
        items[name(letter)] = (value, put(old, name(letter), value).version)
    return items


def test_scan_sends_one_message_for_each_item(old: object, name: Callable[..., str], five: dict) -> None:
    found = scan(old, start_key=name("a"), end_key=name("z"))
    assert [(item.key, (item.value, item.version)) for item in found] == sorted(five.items())


def test_scan_includes_the_start_and_excludes_the_end(old: object, name: Callable[..., str], five: dict) -> None:
    found = scan(old, start_key=name("b"), end_key=name("d"))
    assert [item.key for item in found] == [name("b"), name("c")]


def test_scan_without_bounds_reads_all_keys(old: object, five: dict) -> None:
    found = [item.key for item in scan(old)]
    assert set(five) <= set(found)
    assert found == sorted(found, key=lambda key: key.encode())


def test_scan_to_the_last_key(old: object, name: Callable[..., str], five: dict) -> None:
    found = [item.key for item in scan(old, start_key=name("d"))]
    assert found[:2] == [name("d"), name("e")]


@pytest.mark.parametrize("limit", [0, 1, 3, 5, 100, 2**31 - 1])
def test_scan_limit_set_and_unset(old: object, name: Callable[..., str], five: dict, limit: int) -> None:
    found = scan(old, start_key=name("a"), end_key=name("z"), limit=limit)
    assert [item.key for item in found] == sorted(five)[: limit or None]


@pytest.mark.parametrize("limit", [0, 2])
def test_scan_reverse(old: object, name: Callable[..., str], five: dict, limit: int) -> None:
    found = scan(old, start_key=name("a"), end_key=name("z"), reverse=True, limit=limit)
    assert [item.key for item in found] == sorted(five, reverse=True)[: limit or None]


def test_scan_of_an_empty_range_sends_no_message(old: object, name: Callable[..., str]) -> None:
    assert scan(old, start_key=name("a"), end_key=name("b")) == []


def test_scan_refuses_what_makes_no_sense(old: object, name: Callable[..., str]) -> None:
    for fields in ({"start_key": name("b"), "end_key": name("a")}, {"limit": -1}):
        with pytest.raises(grpc.RpcError) as caught:
            scan(old, **fields)
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


# Batch


def test_batch_of_all_three_types(old: object, name: Callable[..., str]) -> None:
    there = put(old, name("there"), b"1").version
    put(old, name("gone"), b"1")
    read, written, removed = batch(
        old,
        pb.Operation(type=pb.Operation.GET, key=name("there")),
        pb.Operation(type=pb.Operation.PUT, key=name("new"), value=b"2"),
        pb.Operation(type=pb.Operation.DELETE, key=name("gone")),
    )
    assert (read.success, read.value, read.version, read.error) == (True, b"1", there, "")
    assert (written.success, written.value, written.error) == (True, b"", "")
    assert (removed.success, removed.value, removed.error) == (True, b"", "")
    assert get(old, name("new")).version == written.version > there
    assert get(old, name("gone")).found is False


def test_an_operation_without_a_type_is_a_get(old: object, name: Callable[..., str]) -> None:
    version = put(old, name(), b"1").version
    (read,) = batch(old, pb.Operation(key=name()))
    assert (read.success, read.value, read.version) == (True, b"1", version)


def test_batch_get_of_an_absent_key(old: object, name: Callable[..., str]) -> None:
    (read,) = batch(old, pb.Operation(type=pb.Operation.GET, key=name()))
    assert (read.success, read.value, read.version, read.error) == (True, b"", 0, "")


def test_batch_with_expected_versions(old: object, name: Callable[..., str]) -> None:
    version = put(old, name("a"), b"1").version
    changed = pb.Operation(type=pb.Operation.PUT, key=name("a"), value=b"2", expected_version=version)
    beside = pb.Operation(type=pb.Operation.PUT, key=name("b"), value=b"2")
    assert all(result.success for result in batch(old, changed, beside))
    # The version is another one now: neither of the two happens again.
    beside.value = b"3"
    refused = batch(old, changed, beside)
    assert [result.success for result in refused] == [False, False]
    assert [result.version for result in refused] == [0, 0]
    assert all(result.error for result in refused)
    assert str(version) in refused[0].error
    assert get(old, name("b")).value == b"2"


def test_a_batch_without_operations_has_no_results(old: object) -> None:
    assert batch(old) == []


# Keys


@pytest.mark.parametrize(
    "text", ["ключ", "鍵", "🗝️", "a b", "z\u0301", "\u00e9", "line\nbreak", "\x00", "%2F", "\U0010ffff"], ids=ascii
)
def test_unicode_keys(old: object, name: Callable[..., str], text: str) -> None:
    version = put(old, name(text), text.encode()).version
    answer = get(old, name(text))
    assert (answer.value, answer.version) == (text.encode(), version)
    assert [item.key for item in scan(old, start_key=name(text), limit=1)] == [name(text)]


def test_keys_are_ordered_as_utf8_bytes(old: object, name: Callable[..., str]) -> None:
    texts = ["a", "B", "é", "z", "Ω", "中", "🗝", "\uffff"]
    for text in texts:
        put(old, name(text))
    found = [item.key for item in scan(old, start_key=name(), end_key=name("\U0010fffe"))]
    assert found == sorted((name(text) for text in texts), key=lambda key: key.encode())


def test_text_that_only_normalises_to_the_same_is_another_key(old: object, name: Callable[..., str]) -> None:
    put(old, name("\u00e9"), b"one code point")
    put(old, name("e\u0301"), b"two code points")
    assert get(old, name("\u00e9")).value == b"one code point"
    assert get(old, name("e\u0301")).value == b"two code points"
