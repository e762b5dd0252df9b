"""The store of a server that does not run, through RocksDB's C interface."""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Space.system, and the name of the format's row.
FORMAT_KEY = b"\x04store.format"
# Space.tablets, and the first tablet. Its row ends with the state hash.
FIRST_TABLET_KEY = b"\x03" + (1).to_bytes(8, "big")


class Store:
    def __init__(self, library: ctypes.CDLL, database: ctypes.c_void_p) -> None:
        self._library = library
        self._database = database

    def get(self, key: bytes) -> bytes:
        options = ctypes.c_void_p(self._library.rocksdb_readoptions_create())
        error = ctypes.c_char_p()
        length = ctypes.c_size_t()
        value = self._library.rocksdb_get(
            self._database, options, key, ctypes.c_size_t(len(key)), ctypes.byref(length), ctypes.byref(error)
        )
        self._library.rocksdb_readoptions_destroy(options)
        assert not error.value, error.value
        assert value, "there is no such row"
        content = ctypes.string_at(value, length.value)
        self._library.rocksdb_free(ctypes.c_void_p(value))
        return content

    def put(self, key: bytes, value: bytes) -> None:
        options = ctypes.c_void_p(self._library.rocksdb_writeoptions_create())
        error = ctypes.c_char_p()
        size = ctypes.c_size_t
        self._library.rocksdb_put(
            self._database, options, key, size(len(key)), value, size(len(value)), ctypes.byref(error)
        )
        self._library.rocksdb_writeoptions_destroy(options)
        assert not error.value, error.value


@contextmanager
def opened(data: Path) -> Iterator[Store]:
    library = ctypes.CDLL(ctypes.util.find_library("rocksdb"))
    for name in ("options_create", "readoptions_create", "writeoptions_create", "open", "get"):
        getattr(library, f"rocksdb_{name}").restype = ctypes.c_void_p
    options = ctypes.c_void_p(library.rocksdb_options_create())
    error = ctypes.c_char_p()
    database = ctypes.c_void_p(library.rocksdb_open(options, str(data / "store").encode(), ctypes.byref(error)))
    assert not error.value, error.value
    try:
        yield Store(library, database)
    finally:
        library.rocksdb_close(database)
        library.rocksdb_options_destroy(options)


def set_format(data: Path, number: int) -> None:
    with opened(data) as store:
        store.put(FORMAT_KEY, number.to_bytes(8, "little"))


def change_state_hash(data: Path) -> None:
    """As if the node had applied something else than the others."""
    with opened(data) as store:
        row = store.get(FIRST_TABLET_KEY)
        store.put(FIRST_TABLET_KEY, row[:-1] + bytes([row[-1] ^ 1]))
