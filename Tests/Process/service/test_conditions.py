"""Conditions of Put and Delete: what holds, what fails, and what the answer says."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from support.client import Client, fails
from support.protos import atlas_pb2 as pb

Key = Callable[..., bytes]


def condition(**kind: object) -> pb.Condition:
    return pb.Condition(**kind)


# The condition, whether it holds for an absent key and for one that holds b"value", and the code where it does not.
KINDS = {
    "absent": (condition(absent=True), True, False, "KEY_EXISTS"),
    "not absent": (condition(absent=False), False, True, "KEY_ABSENT"),
    "exists": (condition(exists=True), False, True, "KEY_ABSENT"),
    "not exists": (condition(exists=False), True, False, "KEY_EXISTS"),
    "version 0": (condition(version=0), True, False, "KEY_EXISTS"),
    "another version": (condition(version=1), False, False, "VERSION_MISMATCH"),
    "the same value": (condition(value_equals=b"value"), False, True, "VALUE_MISMATCH"),
    "an empty value": (condition(value_equals=b""), False, False, "VALUE_MISMATCH"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_there", [False, True], ids=["absent", "there"])
@pytest.mark.parametrize("method", ["put", "delete"])
def test_each_kind(client: Client, key: Key, method: str, is_there: bool, kind: str) -> None:
    wanted, holds_if_absent, holds_if_there, code = KINDS[kind]
    holds = holds_if_there if is_there else holds_if_absent
    before = client.put(key(), b"value").version if is_there else 0
    answer = getattr(client, method)(key(), condition=wanted)
    present = client.get(key())
    assert answer.success is holds
    if holds:
        assert (answer.code, answer.error) == (pb.RESULT_CODE_OK, "")
        assert answer.version > before
        assert present.version == (answer.version if method == "put" else 0)
    else:
        assert pb.ResultCode.Name(answer.code) == f"RESULT_CODE_{code}"
        assert answer.error
        assert (answer.version, answer.current_version) == (0, before)
        assert present.version == before


def test_the_version_that_the_key_has(client: Client, key: Key) -> None:
    first = client.put(key(), b"1").version
    second = client.put(key(), b"2", condition=condition(version=first))
    assert second.success and second.version > first
    late = client.put(key(), b"3", condition=condition(version=first))
    assert (late.success, late.code) == (False, pb.RESULT_CODE_VERSION_MISMATCH)
    assert late.current_version == second.version
    assert client.delete(key(), condition=condition(version=second.version)).success


def test_version_zero_is_that_of_an_absent_key(client: Client, key: Key) -> None:
    assert client.put(key(), b"1", condition=condition(version=0)).success
    again = client.put(key(), b"2", condition=condition(version=0))
    assert not again.success and again.current_version > 0
    client.delete(key())
    assert client.put(key(), b"3", condition=condition(version=0)).success


def test_a_condition_without_a_kind_is_refused(client: Client, key: Key) -> None:
    with fails("INVALID_ARGUMENT", "UNKNOWN_VALUE"):
        client.put(key(), b"1", condition=pb.Condition())
    with fails("INVALID_ARGUMENT", "UNKNOWN_VALUE"):
        client.delete(key(), condition=pb.Condition())
    assert not client.get(key()).found


def test_expected_version_and_condition_exclude_each_other(client: Client, key: Key) -> None:
    with fails("INVALID_ARGUMENT", "INVALID_ARGUMENT"):
        client.put(key(), b"1", expected_version=1, condition=condition(absent=True))


@pytest.mark.parametrize("options", [{"expected_version": -1}, {"condition": pb.Condition(version=-1)}], ids=str)
def test_negative_versions_are_refused(client: Client, key: Key, options: dict[str, object]) -> None:
    with fails("INVALID_ARGUMENT", "INVALID_ARGUMENT"):
        client.put(key(), b"1", **options)


def test_previous(client: Client, key: Key) -> None:
    created = client.put(key(), b"1", return_previous=True)
    assert not created.HasField("previous")
    changed = client.put(key(), b"2", return_previous=True)
    assert (changed.previous.value, changed.previous.version) == (b"1", created.version)
    refused = client.put(key(), b"3", return_previous=True, condition=condition(absent=True))
    assert (refused.previous.value, refused.previous.version) == (b"2", changed.version)
    removed = client.delete(key(), return_previous=True)
    assert (removed.previous.value, removed.previous.version) == (b"2", changed.version)
    assert not client.delete(key(), return_previous=True).HasField("previous")
    assert not client.put(key(), b"4").HasField("previous")


def test_delete_says_whether_there_was_something(client: Client, key: Key) -> None:
    client.put(key())
    first, second = client.delete(key()), client.delete(key())
    assert (first.success, first.existed) == (True, True)
    assert (second.success, second.existed) == (True, False)
    assert second.version > first.version > 0
