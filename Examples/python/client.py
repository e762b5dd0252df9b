"""Writes, reads and scans through a server: client.py [host:port]. Needs the stubs (stubs.sh) on PYTHONPATH."""

import sys

import grpc
from atlas import atlas_pb2, atlas_pb2_grpc


def main() -> None:
    address = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:8080"
    with grpc.insecure_channel(address) as channel:
        db = atlas_pb2_grpc.AtlasDBStub(channel)

        written = db.Put(atlas_pb2.PutRequest(key=b"city/1", value=b"Paris"))
        print("city/1 has version", written.version)
        print("city/1 is", db.Get(atlas_pb2.GetRequest(key=b"city/1")).value.decode())

        # A write that must not overwrite somebody else's.
        absent = atlas_pb2.Condition(absent=True)
        refused = db.Put(atlas_pb2.PutRequest(key=b"city/1", value=b"Rome", condition=absent))
        print("taken:", refused.error)

        db.Put(atlas_pb2.PutRequest(key=b"city/2", value=b"Lima"))
        for item in db.Scan(atlas_pb2.ScanRequest(prefix=b"city/")):
            print(item.key.decode(), "=", item.value.decode())

        for key in (b"city/1", b"city/2"):
            db.Delete(atlas_pb2.DeleteRequest(key=key))


if __name__ == "__main__":
    main()
