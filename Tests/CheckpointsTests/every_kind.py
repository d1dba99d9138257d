"""Makes Resources/types.h5: every element type in both byte orders, bfloat16 in its spellings,
attributes of more than 64 KB, and types that are no tensors.

    every_kind.py Resources/types.h5
"""

import ctypes
import pathlib
import sys

import h5py
import numpy as np

bits = np.arange(0x3F80, 0x3F80 + 6, dtype="<u2")

with h5py.File(sys.argv[1], "w", libver=("v110", "v110"), userblock_size=1024) as file:
    for kind in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"):
        for order, name in (("<", "little"), (">", "big")):
            values = (np.arange(30) - 3).astype(order + kind).reshape(5, 6)
            file[f"{name}/{kind}"] = values
            file.create_dataset(
                f"{name}/{kind} packed", data=values, chunks=(2, 4), compression=4, shuffle=True)
    file["bool"] = np.array([True, False, True])

    # Keras 3: opaque, and an attribute.
    opaque = file.create_dataset("bf16/opaque", data=bits.view("V2"))
    opaque.attrs["dtype"] = "bfloat16"
    # By the fields of a float.
    def custom(name, order):
        field = h5py.h5t.IEEE_F32LE.copy() if order == "little" else h5py.h5t.IEEE_F32BE.copy()
        field.set_fields(15, 7, 8, 0, 7)
        field.set_size(2)
        field.set_ebias(127)
        made = h5py.h5d.create(file.id, name, field, h5py.h5s.create_simple((6,)))
        memory = field.copy()
        data = bits if order == "little" else bits.byteswap()
        assert library.H5Dwrite(
            ctypes.c_int64(made.id), ctypes.c_int64(memory.id), ctypes.c_int64(0),
            ctypes.c_int64(0), ctypes.c_int64(0), data.ctypes.data_as(ctypes.c_void_p)) >= 0

    library = ctypes.CDLL(next(pathlib.Path(h5py.__file__).parents[1].glob("h5py.libs/libhdf5-*")))
    custom(b"bf16/custom", "little")
    custom(b"bf16/custom big-endian", "big")
    # HDF5 2.0's own.
    own = ctypes.c_int64.in_dll(library, "H5T_FLOAT_BFLOAT16LE_g").value
    made = library.H5Dcreate2
    made.restype = ctypes.c_int64
    space = h5py.h5s.create_simple((6,))
    dataset = made(
        ctypes.c_int64(file.id.id), b"bf16/own", ctypes.c_int64(own), ctypes.c_int64(space.id),
        ctypes.c_int64(0), ctypes.c_int64(0), ctypes.c_int64(0))
    assert dataset >= 0
    assert library.H5Dwrite(
        ctypes.c_int64(dataset), ctypes.c_int64(own), ctypes.c_int64(0), ctypes.c_int64(0),
        ctypes.c_int64(0), bits.ctypes.data_as(ctypes.c_void_p)) >= 0
    library.H5Dclose(ctypes.c_int64(dataset))

    file["scalar"] = np.float32(7)
    file["scalar"].attrs["long"] = np.zeros(20_000, "f4")
    file.create_dataset("empty", shape=(0, 4), dtype="<f2")
    file.create_dataset("empty chunks", shape=(0, 4), dtype="<f2", chunks=(2, 2), maxshape=(None, 4))
    file.attrs["long"] = "x" * 70_000
    file["text"] = ["a", "b"]
    file["pairs"] = np.zeros(3, [("a", "f4"), ("b", "i2")])
    file["complex"] = np.zeros(3, "c8")
    file.create_dataset("lists", shape=(2,), dtype=h5py.vlen_dtype("f4"))
    file["enum"] = np.zeros(3, h5py.enum_dtype({"A": 0, "B": 1}, "i1"))
with open(sys.argv[1], "r+b") as file:
    file.write(b"user block")
