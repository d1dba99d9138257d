"""Does with h5py and NumPy what `diffkit apply` does, and makes the files for it.

    hdf5_peer.py make FOLDER SIZE     base.h5 of gzip chunks, random.h5 and rows.h5, and the changes
    hdf5_peer.py apply FOLDER WHICH   out-peer.h5: base.h5 with the changes, tensor by tensor
    hdf5_peer.py rows FOLDER WHICH    the same, reading and writing only the rows that change
    hdf5_peer.py make-one FOLDER SIZE   one.h5, a tensor in one gzip chunk, and one-tuned.h5
    hdf5_peer.py read-one FOLDER SIZE   reads it; apply-one: out-peer.h5, as one-tuned.h5
    hdf5_peer.py make-many FOLDER COUNT   many.safetensors; write-many: out-peer.h5 of its tensors
"""

import json

import pathlib
import shutil
import sys

import h5py
import numpy as np

TENSORS, COLUMNS = 8, 1024


def positions(random, which, size):
    """The positions that change: half a percent at random, or two in a thousand of a row."""
    if which == "random":
        return np.flatnonzero(random.random(size) < 0.005)
    row = random.integers(size // COLUMNS)
    hot = np.flatnonzero(random.random(COLUMNS) < 0.0001 * (size // COLUMNS))
    return row * COLUMNS + hot


def make(folder, size):
    random = np.random.default_rng(1)
    shape = (size // 4 // TENSORS // COLUMNS, COLUMNS)
    base = {
        f"layer/{n}/kernel": random.standard_normal(shape, "f4") * np.float32(0.02)
        for n in range(TENSORS)
    }

    def write(path, tensors):
        with h5py.File(path, "w") as file:
            for name, values in tensors.items():
                file.create_dataset(name, data=values, chunks=True, compression="gzip", shuffle=True)

    write(folder / "base.h5", base)
    for which in ("random", "rows"):
        tuned, changes = {}, {}
        for name, values in base.items():
            at = positions(random, which, values.size)
            new = values.copy()
            new.reshape(-1)[at] += np.float32(1e-3)
            tuned[name] = new
            changes[name.replace("/", ".") + ".at"] = at
            changes[name.replace("/", ".") + ".new"] = new.reshape(-1)[at]
        write(folder / f"{which}.h5", tuned)
        np.savez(folder / f"{which}.npz", **changes)


def apply(folder, which, only_rows):
    shutil.copyfile(folder / "base.h5", folder / "out-peer.h5")
    changes = np.load(folder / f"{which}.npz")
    with h5py.File(folder / "out-peer.h5", "r+") as file:
        for name in [f"layer/{n}/kernel" for n in range(TENSORS)]:
            at = changes[name.replace("/", ".") + ".at"]
            new = changes[name.replace("/", ".") + ".new"]
            dataset = file[name]
            if only_rows:
                for row in np.unique(at // COLUMNS):
                    values = dataset[row]
                    here = at // COLUMNS == row
                    values[at[here] % COLUMNS] = new[here]
                    dataset[row] = values
            else:
                values = dataset[...]
                values.reshape(-1)[at] = new
                dataset[...] = values


def make_one(folder, size):
    random = np.random.default_rng(2)
    values = random.standard_normal((size // 4 // COLUMNS, COLUMNS), "f4")
    for name in ("one", "one-tuned"):
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file.create_dataset("w", data=values, chunks=values.shape, compression="gzip")
        values[::100, ::10] += np.float32(1e-3)


def apply_one(folder):
    shutil.copyfile(folder / "one.h5", folder / "out-peer.h5")
    with h5py.File(folder / "out-peer.h5", "r+") as file:
        values = file["w"][...]
        values[::100, ::10] += np.float32(1e-3)
        file["w"][...] = values


def make_many(folder, count):
    header = {
        f"layer.{n}.w": {"dtype": "F32", "shape": [4, 4], "data_offsets": [64 * n, 64 * n + 64]}
        for n in range(count)
    }
    text = json.dumps(header).encode()
    values = np.random.default_rng(3).bytes(64 * count)
    (folder / "many.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + values)


def write_many(folder, count):
    data = (folder / "many.safetensors").read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    with h5py.File(folder / "out-peer.h5", "w") as file:
        for name, row in header.items():
            first = start + row["data_offsets"][0]
            values = np.frombuffer(data, "<f4", 16, first).reshape(row["shape"])
            file.create_dataset(name.replace(".", "/"), data=values)


command, folder, argument = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
if command == "make":
    make(folder, int(argument))
elif command == "make-one":
    make_one(folder, int(argument))
elif command == "read-one":
    with h5py.File(folder / "one.h5") as file:
        file["w"][...]
elif command == "apply-one":
    apply_one(folder)
elif command == "make-many":
    make_many(folder, int(argument))
elif command == "write-many":
    write_many(folder, int(argument))
else:
    apply(folder, argument, command == "rows")
