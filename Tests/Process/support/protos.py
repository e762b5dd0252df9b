"""Stubs, generated from the .proto files when the tests start.

`atlas_pb2`, `admin_pb2` and their `_grpc` companions come from proto/; `legacy_pb2` and `legacy_pb2_grpc` from the
first published definition, which declares the same names. Both live in one process because the latter has a descriptor
pool of its own.
"""

from __future__ import annotations

import atexit
import importlib
import os
import shutil
import sys
import tempfile
from importlib import resources
from pathlib import Path
from types import ModuleType
from unittest import mock

from google.protobuf import descriptor_pool, timestamp_pb2
from grpc_tools import protoc

from support.server import REPOSITORY

LEGACY = Path(__file__).resolve().parents[1] / "legacy"
STUBS_VARIABLE = "PROCESS_TESTS_STUBS"


def _generate() -> str:
    """Once for a run: programs that the tests start find the directory in the environment."""
    if existing := os.environ.get(STUBS_VARIABLE):
        return existing
    target = tempfile.mkdtemp(prefix="process-tests-stubs-")
    atexit.register(shutil.rmtree, target, ignore_errors=True)
    known = str(resources.files("grpc_tools") / "_proto")
    for root, names in ((REPOSITORY / "proto", ["atlas/atlas.proto", "atlas/admin.proto"]), (LEGACY, ["legacy.proto"])):
        arguments = [f"-I{root}", f"-I{known}", f"--python_out={target}", f"--grpc_python_out={target}", *names]
        if protoc.main(["protoc", *arguments]) != 0:
            raise RuntimeError(f"protoc failed in {root}")
    os.environ[STUBS_VARIABLE] = target
    return target


def _import_legacy() -> tuple[ModuleType, ModuleType]:
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    with mock.patch.object(descriptor_pool, "Default", return_value=pool):
        return importlib.import_module("legacy_pb2"), importlib.import_module("legacy_pb2_grpc")


sys.path.insert(0, _generate())
atlas_pb2 = importlib.import_module("atlas.atlas_pb2")
atlas_pb2_grpc = importlib.import_module("atlas.atlas_pb2_grpc")
admin_pb2 = importlib.import_module("atlas.admin_pb2")
admin_pb2_grpc = importlib.import_module("atlas.admin_pb2_grpc")
legacy_pb2, legacy_pb2_grpc = _import_legacy()
