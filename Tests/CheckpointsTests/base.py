"""Makes Resources/base.h5: one small file with what HDF5 checkpoints may hold.

    base.py Resources/base.h5
"""

import sys

import h5py
import numpy as np

path = sys.argv[1]
with h5py.File(path, "w", userblock_size=512) as file:
    file.attrs["backend"] = "tensorflow"
    group = file.create_group("model")
    group.attrs["weight_names"] = [b"kernel:0"]
    group["kernel:0"] = np.arange(12, dtype="<f4").reshape(3, 4)
    group["kernel:0"].attrs["trainable"] = True
    group["big"] = np.arange(6, dtype=">f4")
    group["half"] = np.arange(5, dtype="<f2")
    group.create_dataset(
        "packed", data=np.arange(700, dtype="<i2").reshape(10, 70), chunks=(4, 32),
        compression="gzip", shuffle=True, fletcher32=True)
    file["model.x"] = np.arange(2.0)
    file["flags"] = np.array([True, False, True])
    file["text"] = "words"
    file.create_dataset("scalar", data=np.int64(7))
    file.create_dataset("empty", shape=(0, 3), dtype="<f4")
    file.create_dataset("null", data=h5py.Empty("<f4"))
    file.create_dataset("unallocated", shape=(3, 2), dtype="<f8", fillvalue=1.5)

    compact = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    compact.set_layout(h5py.h5d.COMPACT)
    space = h5py.h5s.create_simple((4,))
    dataset = h5py.h5d.create(file.id, b"compact", h5py.h5t.STD_U8LE, space, compact)
    h5py.Dataset(dataset)[...] = [1, 2, 3, 4]

    file["alias"] = group["half"]
    file["other"] = group
    file["cycle"] = file["/"]
    file["soft"] = h5py.SoftLink("/model/big")
    file["external"] = h5py.ExternalLink("other.h5", "/x")
    file.create_dataset("outside", shape=(4,), dtype="f4", external=[("other.bin", 0, 16)])
    layout = h5py.VirtualLayout(shape=(4,), dtype="f4")
    layout[0:4] = h5py.VirtualSource("other.h5", "x", shape=(4,))
    file.create_virtual_dataset("virtual", layout)
    h5py.h5g.create(file.id, b"\xff")
with open(path, "r+b") as file:
    file.write(b"user block")
