"""Makes Resources/contents-1.h5 and contents-2.h5: two files with the same tensors, whose names say what
else in them is equal in both, differs, or is in one of them only; and complex.h5, complex numbers in
both byte orders; and lzf.h5, of which libhdf5 cannot read one tensor. And datatypes-1.h5 and
datatypes-2.h5, whose objects other than tensors differ in their datatypes alone, with datatypes-latest.h5,
the first in the newest encoding; and writing.h5, as its writer leaves it if it is killed.

    contents.py Resources    # h5py
"""

import pathlib
import sys

import h5py
import numpy as np

folder = pathlib.Path(sys.argv[1])
record = np.dtype([("a", "<f4"), ("text", "S4")])

for number in (1, 2):
    with h5py.File(folder / f"contents-{number}.h5", "w") as file:
        file["weights"] = np.arange(4, dtype="f4")
        file["complex"] = np.array([1 + 2j, 3], "c8")
        file["target 1"] = file["target 2"] = np.zeros(1, "f4")
        for name, value in (("equal", 1), ("differs", number)):
            group = file.create_group(name)
            group["fixed text"] = np.array([b"a", b"b" * value])
            group.create_dataset("text", data=["x", "y" * value], dtype=h5py.string_dtype())
            group["record"] = np.array([(value, b"t"), (2, b"u")], record)
            group.create_dataset(
                "enumeration", data=np.array([value], "i1"),
                dtype=h5py.enum_dtype({"R": 1, "G": 2}, basetype="i1"))
            sequences = group.create_dataset("sequences", (2,), dtype=h5py.vlen_dtype("f4"))
            sequences[0] = np.arange(value, dtype="f4")
            group.create_dataset("reference", data=file[f"target {value}"].ref, dtype=h5py.ref_dtype)
            group["opaque"] = np.void(b"abc" + bytes([value]))
            group.create_dataset("packed", data=[b"p" * value] * 100, chunks=(10,), compression=9)
            group["soft"] = h5py.SoftLink(f"/target {value}")
            group["external"] = h5py.ExternalLink("other.h5", f"/{value}")
            group.create_dataset(
                "elsewhere", (2,), "f4", external=[(f"raw-{value}.bin", 0, 8)])
            layout = h5py.VirtualLayout((2,), "f4")
            layout[:] = h5py.VirtualSource("other.h5", f"source {value}", (2,))
            group.create_virtual_dataset("virtual", layout)
            group["datatype"] = np.dtype(("f4", (value,)))
            group.attrs["number"] = value
            group.attrs["names"] = np.array([b"dense", b"d" * value])
            group.attrs["long text"] = "t" * value
            group.attrs.create("nothing", h5py.Empty("f4"))
            file["weights"].attrs[name] = value
        file.create_group(f"empty {number}")
        file.attrs[f"only {number}"] = 1

numbers = np.array([1 + 2j, 3 - 4.5j, 0, -1j])
with h5py.File(folder / "complex.h5", "w") as file:
    for name, order in (("big", ">"), ("little", "<")):
        file[name] = numbers.astype(order + "c8")
        file.create_dataset(
            name + " packed", data=numbers.astype(order + "c8"), chunks=(3,), compression=4,
            shuffle=True)

with h5py.File(folder / "lzf.h5", "w") as file:
    file.create_dataset("packed", data=np.arange(100, dtype="f4"), chunks=(10,), compression="lzf")
    file["plain"] = np.ones(3, "f4")

for suffix, number in (("1", 1), ("2", 2), ("latest", 1)):
    def one(first, second):
        return first if number == 1 else second

    # The newest that HDF5 1.10 reads.
    version = ("v110", "v110") if suffix == "latest" else "earliest"
    with h5py.File(folder / f"datatypes-{suffix}.h5", "w", libver=version) as file:
        file["weights"] = np.arange(4, dtype="f4")
        file.attrs["bits"] = one(np.int32(0x3F800000), np.float32(1))
        file.attrs["sign"] = one(np.uint8(255), np.int8(-1))
        names = h5py.enum_dtype({"A": 0, one("B", "C"): 1}, basetype="i1")
        file.attrs.create("names", 1, dtype=names)
        file.create_dataset("enumeration", data=np.array([0, 1], "i1"), dtype=names)
        file["length"] = np.array([b"abc"], one("S3", "S9"))
        file.create_dataset("text", data=[b"abc"], dtype=one("S3", h5py.string_dtype()))
        integer = np.array([(0x3F800000,)], [("a", "i4")])
        file["record"] = integer.view([("a", one("i4", "f4"))])
        file.create_dataset("arrays", (1,), np.dtype((one("i4", "f4"), (2,))))
        file.create_dataset("sequences", (1,), h5py.vlen_dtype(one("i4", "f4")))
        file.create_dataset("null", data=h5py.Empty(one("f4", "f8")))
        tagged = h5py.h5t.create(h5py.h5t.OPAQUE, 4)
        tagged.set_tag(one(b"this", b"that"))
        h5py.h5d.create(file.id, b"opaque", tagged, h5py.h5s.create_simple((1,)))

with h5py.File(folder / "writing.h5", "w", libver="latest") as file:
    file["weights"] = np.ones(3, "f4")
    file.flush()
    unfinished = (folder / "writing.h5").read_bytes()
(folder / "writing.h5").write_bytes(unfinished)
