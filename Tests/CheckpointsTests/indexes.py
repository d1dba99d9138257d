"""Small HDF5 files with every kind of index of chunks and of object header, for `mutations.py`.

    indexes.py FOLDER
"""

import ctypes
import pathlib
import sys

import h5py
import numpy as np

PACKED = {"compression": 4, "shuffle": True, "fletcher32": True}


def values(*shape):
    """Elements of which no two are equal, and none is zero."""
    count = int(np.prod(shape))
    return (np.arange(1, count + 1, dtype="<f4") * np.float32(0.37)).reshape(shape)


def early(file, name, data, chunks):
    """A dataset whose chunks are all allocated at once, so that their index can be implicit."""
    space = h5py.h5s.create_simple(data.shape)
    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    creation.set_chunk(chunks)
    creation.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    dataset = h5py.h5d.create(file.id, name, h5py.h5t.IEEE_F32LE, space, creation)
    dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, data)


def narrow(path):
    """A file whose version 1 B-trees have few children, and so several levels."""
    creation = h5py.h5p.create(h5py.h5p.FILE_CREATE)
    # The library that h5py has loaded; it has no face in h5py.
    (path_of_library,) = (pathlib.Path(h5py.__file__).parent.parent / "h5py.libs").glob("libhdf5-*")
    library = ctypes.CDLL(str(path_of_library))
    identifier = ctypes.c_int64(creation.id)
    assert library.H5Pset_istore_k(identifier, ctypes.c_uint(2)) >= 0
    assert library.H5Pset_sym_k(identifier, ctypes.c_uint(2), ctypes.c_uint(2)) >= 0
    return h5py.File(h5py.h5f.create(str(path).encode(), h5py.h5f.ACC_TRUNC, creation))


def plain(file):
    """What every file has besides: contiguous, compact, scalar, nested, named twice."""
    file["b"] = values(30)
    file["layer/w"] = values(3, 4).astype(">f2")
    file["layer/again"] = file["b"]
    file["step"] = np.int64(1234)
    file.attrs["backend"] = "tests"
    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    creation.set_layout(h5py.h5d.COMPACT)
    space = h5py.h5s.create_simple((5,))
    compact = h5py.h5d.create(file.id, b"compact", h5py.h5t.STD_I16LE, space, creation)
    compact.write(h5py.h5s.ALL, h5py.h5s.ALL, np.arange(1, 6, dtype="<i2"))


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    with h5py.File(folder / "btree1.h5", "w") as file:
        plain(file)
        file.create_dataset("w", data=values(40, 24), chunks=(8, 8))
        file.create_dataset("packed", data=values(20, 12), chunks=(8, 8), **PACKED)
        sparse = file.create_dataset("sparse", (40, 24), "<f4", chunks=(8, 8), fillvalue=0.5)
        sparse[8:16, 8:16] = values(8, 8)
    with narrow(folder / "btree1-deep.h5") as file:
        plain(file)
        file.create_dataset("w", data=values(60, 8), chunks=(4, 4))
        for number in range(12):
            file[f"many/n{number}"] = values(2)
    latest = {"libver": ("v110", "v110")}
    with h5py.File(folder / "single.h5", "w", **latest) as file:
        plain(file)
        file.create_dataset("w", data=values(10, 6), chunks=(10, 6))
        file.create_dataset("packed", data=values(10, 6), chunks=(10, 6), **PACKED)
        early(file, b"implicit", values(12, 6), (4, 3))
    with h5py.File(folder / "fixed-array.h5", "w", **latest) as file:
        plain(file)
        file.create_dataset("w", data=values(40, 24), chunks=(8, 8))
        file.create_dataset("packed", data=values(20, 12), chunks=(8, 8), **PACKED)
        file.create_dataset("paged", data=values(1200), chunks=(1,))
    with h5py.File(folder / "extensible-array.h5", "w", **latest) as file:
        plain(file)
        file.create_dataset("w", data=values(40, 24), chunks=(8, 8), maxshape=(None, 24))
        file.create_dataset(
            "packed", data=values(20, 12), chunks=(8, 8), maxshape=(None, 12), **PACKED)
        file.create_dataset("long", data=values(900), chunks=(1,), maxshape=(None,))
    with h5py.File(folder / "btree2.h5", "w", **latest) as file:
        plain(file)
        file.create_dataset("w", data=values(40, 24), chunks=(8, 8), maxshape=(None, None))
        file.create_dataset(
            "packed", data=values(20, 12), chunks=(8, 8), maxshape=(None, None), **PACKED)
        file.create_dataset("deep", data=values(300, 2), chunks=(2, 1), maxshape=(None, None))
        for number in range(12):
            file[f"many/n{number}"] = values(2)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
