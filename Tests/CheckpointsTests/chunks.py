"""Makes Resources/chunks.h5: chunked tensors of many shapes, filters and states.

    chunks.py Resources/chunks.h5

Two are large in memory and small in the file, so that readers in strips need several of them.
"""

import ctypes
import pathlib
import sys
import zlib

import h5py
import numpy as np

random = np.random.default_rng(4)


def values(shape, dtype):
    return random.integers(0, 50, shape).astype(dtype)


with h5py.File(sys.argv[1], "w", libver=("earliest", "v110")) as file:
    file.create_dataset("line", data=values((1000,), "<f4"), chunks=(64,), compression=6)
    file.create_dataset("one", data=values((7, 5), "<f8"), chunks=(7, 5), compression=1)
    file.create_dataset(
        "cube", data=values((9, 10, 11), "<i2"), chunks=(4, 3, 5), shuffle=True, compression=9)
    file.create_dataset(
        "four", data=values((3, 4, 5, 6), ">f4"), chunks=(2, 4, 3, 6), shuffle=True,
        compression=4, fletcher32=True)
    file.create_dataset(
        "whole rows", data=values((40, 3, 8), "<f4"), chunks=(7, 3, 8), compression=4)
    file.create_dataset("plain", data=values((33, 17), "<f2"), chunks=(8, 5))
    file.create_dataset("plain big-endian", data=values((33, 17), ">i8"), chunks=(8, 5))
    file.create_dataset(
        "checked", data=values((30, 30), "u1"), chunks=(7, 8), fletcher32=True, shuffle=True)
    file.create_dataset(
        "tiny", data=values((600,), "<u2"), chunks=(1,), maxshape=(None,), shuffle=True)
    file.create_dataset(
        "flags", data=values((50,), "u1") > 20, chunks=(9,), compression=4, shuffle=True)

    gaps = file.create_dataset(
        "gaps", shape=(100, 20), dtype="<f4", chunks=(10, 10), fillvalue=1.5, compression=4,
        maxshape=(None, None))
    gaps[15:35, :7] = values((20, 7), "<f4")
    gaps = file.create_dataset(
        "gaps big-endian", shape=(64,), dtype=">i4", chunks=(10,), fillvalue=258)
    gaps[33] = 7
    file.create_dataset("nothing", shape=(30, 30), dtype="<f4", chunks=(10, 10), compression=4)

    # Chunks that passed only some of the filters.
    masked = file.create_dataset(
        "masked", shape=(4, 32), dtype="<f4", chunks=(1, 32), shuffle=True, compression=4)
    rows = values((4, 32), "<f4")
    for row, mask in enumerate([0, 1, 2, 3]):
        data = rows[row].tobytes()
        if not mask & 1:
            data = rows[row].view("u1").reshape(32, 4).T.tobytes()
        if not mask & 2:
            data = zlib.compress(data, 4)
        masked.id.write_direct_chunk((row, 0), data, mask)

    # Chunks at the edges do not pass the filters.
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((8, 8))
    plist.set_deflate(4)
    # Not in h5py itself, but in the library that it brings.
    library = next(pathlib.Path(h5py.__file__).parents[1].glob("h5py.libs/libhdf5-*"))
    assert ctypes.CDLL(library).H5Pset_chunk_opts(ctypes.c_int64(plist.id), 2) >= 0
    space = h5py.h5s.create_simple((20, 20))
    edges = h5py.h5d.create(file.id, b"edges", h5py.h5t.IEEE_F32LE, space, plist)
    h5py.Dataset(edges)[...] = values((20, 20), "<f4")

    # 30 MB in strips of several bands; 41 MB in bands that are larger than a strip.
    sparse = np.zeros((1500, 5000), "<f4")
    sparse.reshape(-1)[:: 99_991] = np.arange(len(sparse.reshape(-1)[:: 99_991]))
    file.create_dataset(
        "strips", data=sparse, chunks=(100, 500), shuffle=True, compression=9)
    sparse = np.zeros((10_250, 1000), "<f4")
    sparse.reshape(-1)[:: 99_991] = np.arange(len(sparse.reshape(-1)[:: 99_991]))
    file.create_dataset("columns", data=sparse, chunks=(10_250, 100), compression=9)
