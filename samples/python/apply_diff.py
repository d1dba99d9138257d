"""Applies a diff to a dict of NumPy arrays, through libDiffKit and ctypes.

    DIFFKIT_LIBRARY=.build/release/libDiffKit.so python apply_diff.py task.diff in.npz out.npz

Arrays are changed in place; what the diff inserts is added, what it deletes is removed. All of
them are verified by their fingerprints before the first one is touched.
"""

import ctypes
import os
import sys

import numpy as np

OK, ALREADY_DONE = 0, 1
ADD, REPLACE, XOR, INSERT, DELETE, RESHAPE = range(1, 7)
IS_BASE, IS_RESULT, IS_OTHER, IS_UNKNOWN = range(4)

# The element types of spec/FORMAT.md that NumPy has; bfloat16 and float8 travel as integers.
TYPES = {1: "?", 2: "u1", 3: "i1", 4: "<u2", 5: "<i2", 6: "<u4", 7: "<i4", 8: "<u8", 9: "<i8",
         10: "<f2", 11: "<u2", 12: "<f4", 13: "<f8", 14: "u1", 15: "u1", 16: "u1", 17: "<c8"}


class Entry(ctypes.Structure):
    """`diffkit_entry` of diffkit.h."""

    _fields_ = [
        ("size", ctypes.c_size_t), ("name", ctypes.c_char_p), ("name_length", ctypes.c_size_t),
        ("operation", ctypes.c_uint32), ("type", ctypes.c_uint32), ("width", ctypes.c_uint32),
        ("rank", ctypes.c_uint32), ("extents", ctypes.c_uint64 * 32),
        ("elements", ctypes.c_uint64), ("changes", ctypes.c_uint64),
        ("value_type", ctypes.c_uint32), ("value_width", ctypes.c_uint32),
        ("scale", ctypes.c_int32), ("flags", ctypes.c_uint32),
        ("base", ctypes.c_uint8 * 16), ("result", ctypes.c_uint8 * 16),
        ("rank_after", ctypes.c_uint32), ("reserved", ctypes.c_uint32),
        ("extents_after", ctypes.c_uint64 * 32), ("elements_after", ctypes.c_uint64),
        ("stored", ctypes.c_uint64),
    ]


class DiffKitError(Exception):
    """What the library says."""


class Diff:
    """An open diff."""

    def __init__(self, path, library=os.environ.get("DIFFKIT_LIBRARY", "libDiffKit.so")):
        self.lib = ctypes.CDLL(library)
        pointer, size = ctypes.c_void_p, ctypes.c_size_t
        self.lib.diffkit_error.restype = ctypes.c_char_p
        self.lib.diffkit_count.restype = size
        for name, arguments in {
            "open_file": [ctypes.c_char_p, pointer], "close": [pointer], "count": [pointer],
            "entry_at": [pointer, size, pointer],
            "apply": [pointer, size, pointer, size, ctypes.c_uint32],
            "verify": [pointer, size, pointer, size, pointer],
        }.items():
            getattr(self.lib, "diffkit_" + name).argtypes = arguments
        self.handle = pointer()
        self.check(self.lib.diffkit_open_file(os.fsencode(path), ctypes.byref(self.handle)))

    def close(self):
        self.lib.diffkit_close(self.handle)
        self.handle = None

    def check(self, status):
        if status > ALREADY_DONE:
            raise DiffKitError(self.lib.diffkit_error().decode())
        return status

    def entries(self):
        for index in range(self.lib.diffkit_count(self.handle)):
            entry = Entry(size=ctypes.sizeof(Entry))
            self.check(self.lib.diffkit_entry_at(self.handle, index, ctypes.byref(entry)))
            yield index, entry

    def apply(self, arrays):
        """Makes a dict of arrays what the diff makes of it; how many tensors changed."""
        names = {name.replace("/", "."): name for name in arrays}
        work = []
        for index, entry in self.entries():
            key = entry.name.decode().replace("/", ".")
            name = names.get(key, key)
            if entry.operation == RESHAPE:
                raise DiffKitError(f"{name}: changes its shape")
            if entry.operation == INSERT:
                if name in arrays:
                    raise DiffKitError(f"{name}: is there already")
                shape = tuple(entry.extents[: entry.rank])
                array = np.zeros(shape, TYPES[entry.type])
            else:
                array = np.ascontiguousarray(arrays[name])
                state = ctypes.c_int()
                self.check(self.lib.diffkit_verify(
                    self.handle, index, array.ctypes.data, array.nbytes, ctypes.byref(state)))
                if state.value == IS_OTHER or state.value == IS_UNKNOWN:
                    raise DiffKitError(f"{name}: is not the one that the diff was made for")
            work.append((index, entry, name, array))
        changed = 0
        for index, entry, name, array in work:
            if entry.operation == DELETE:
                del arrays[name]
                changed += 1
                continue
            status = self.check(self.lib.diffkit_apply(
                self.handle, index, array.ctypes.data, array.nbytes, 0))
            arrays[name] = array
            changed += status == OK
        return changed


if __name__ == "__main__":
    try:
        arrays = dict(np.load(sys.argv[2]))
        diff = Diff(sys.argv[1])
        print(f"{diff.apply(arrays)} tensors changed")
        diff.close()
        np.savez(sys.argv[3], **arrays)
    except (DiffKitError, OSError, KeyError, IndexError) as error:
        sys.exit(f"apply_diff: {error}")
