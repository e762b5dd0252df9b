"""The present definition says the same on the wire as the first one."""

from __future__ import annotations

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from support.protos import atlas_pb2, legacy_pb2

OLD = legacy_pb2.DESCRIPTOR
NEW = atlas_pb2.DESCRIPTOR
FIRST_NEW_FIELD = 10


def messages() -> list[str]:
    return sorted(OLD.message_types_by_name)


def wire_type(field: FieldDescriptor) -> int:
    # A string and bytes are the same on the wire: keys were strings once.
    return FieldDescriptor.TYPE_BYTES if field.type == FieldDescriptor.TYPE_STRING else field.type


def fields() -> list[tuple[str, str]]:
    return [(name, field.name) for name in messages() for field in OLD.message_types_by_name[name].fields]


@pytest.mark.parametrize(("message", "field"), fields())
def test_each_field_has_its_name_number_and_type(message: str, field: str) -> None:
    old = OLD.message_types_by_name[message].fields_by_name[field]
    new = NEW.message_types_by_name[message].fields_by_name[field]
    assert (new.number, wire_type(new), new.is_repeated) == (old.number, wire_type(old), old.is_repeated)
    assert new.containing_oneof is None and old.containing_oneof is None
    if old.message_type is not None:
        assert new.message_type.full_name == old.message_type.full_name
    if old.enum_type is not None:
        assert new.enum_type.full_name == old.enum_type.full_name


@pytest.mark.parametrize("message", messages())
def test_later_fields_leave_the_old_numbers_alone(message: str) -> None:
    old: Descriptor = OLD.message_types_by_name[message]
    for field in NEW.message_types_by_name[message].fields:
        assert field.name in old.fields_by_name or field.number >= FIRST_NEW_FIELD


def test_the_kinds_of_operations_have_their_numbers() -> None:
    assert dict(atlas_pb2.Operation.Type.items()) == dict(legacy_pb2.Operation.Type.items())
    assert dict(legacy_pb2.Operation.Type.items()) == {"GET": 0, "PUT": 1, "DELETE": 2}


@pytest.mark.parametrize("method", list(OLD.services_by_name["AtlasDB"].methods), ids=lambda method: method.name)
def test_each_method_is_there_with_its_types(method: object) -> None:
    new = NEW.services_by_name["AtlasDB"].methods_by_name[method.name]
    assert new.full_name == method.full_name == f"atlas.AtlasDB.{method.name}"
    assert new.input_type.full_name == method.input_type.full_name
    assert new.output_type.full_name == method.output_type.full_name
    assert (new.client_streaming, new.server_streaming) == (method.client_streaming, method.server_streaming)


def test_node_and_cluster_information_survive_the_trip() -> None:
    """No call of the first definition returns these two; a node reports them in `atlas.Admin`."""
    new = atlas_pb2.ClusterInfo(total_regions=2, cluster_id="c")
    new.nodes.add(node_id="n", address="127.0.0.1:1", region_id=7, is_leader=True).last_seen.FromSeconds(99)
    old = legacy_pb2.ClusterInfo.FromString(new.SerializeToString())
    assert (old.total_regions, old.cluster_id, len(old.nodes)) == (2, "c", 1)
    node = old.nodes[0]
    assert (node.node_id, node.address, node.region_id, node.is_leader) == ("n", "127.0.0.1:1", 7, True)
    assert node.last_seen.seconds == 99
