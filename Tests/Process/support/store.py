"""The store of a server that does not run, through RocksDB's C interface."""

from __future__ import annotations

import ctypes
import ctypes.util
from pathlib import Path

# Space.system, and the name of the format's row.
FORMAT_KEY = b"\x04store.format"


def set_format(data: Path, number: int) -> None:
    rocksdb = ctypes.CDLL(ctypes.util.find_library("rocksdb"))
    for function in (rocksdb.rocksdb_options_create, rocksdb.rocksdb_writeoptions_create, rocksdb.rocksdb_open):
        function.restype = ctypes.c_void_p
    error = ctypes.c_char_p()
    directory = str(data / "store").encode()
    options = ctypes.c_void_p(rocksdb.rocksdb_options_create())
    database = ctypes.c_void_p(rocksdb.rocksdb_open(options, directory, ctypes.byref(error)))
    assert not error.value, error.value
    writes = ctypes.c_void_p(rocksdb.rocksdb_writeoptions_create())
    value = number.to_bytes(8, "little")
    size = ctypes.c_size_t
    rocksdb.rocksdb_put(
        database, writes, FORMAT_KEY, size(len(FORMAT_KEY)), value, size(len(value)), ctypes.byref(error)
    )
    assert not error.value, error.value
    rocksdb.rocksdb_writeoptions_destroy(writes)
    rocksdb.rocksdb_close(database)
    rocksdb.rocksdb_options_destroy(options)
