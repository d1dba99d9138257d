"""What HDF5 files hold, by h5py: for each tensor its names, type, shape and a hash.

    oracle.py Resources SHARED/data/keras SHARED/data/hdf5-features > Resources/oracle.json

`hash` is XXH3-128 of the little-endian bytes, or null where a filter is needed that plain libhdf5
lacks. An object of several hard links stands under the smallest path.
"""

import json
import pathlib
import sys

import h5py
import numpy as np
import xxhash

PLAIN_FILTERS = {1, 2, 3, 4, 5, 6}
NAMES = {"complex64": "c64", "float16": "f16", "float32": "f32", "float64": "f64", "bool": "bool"}
NAMES |= {f"int{width}": f"i{width}" for width in (8, 16, 32, 64)}
NAMES |= {f"uint{width}": f"u{width}" for width in (8, 16, 32, 64)}
BF16_FIELDS = (15, 7, 8, 0, 7)


def element_type(dataset):
    """diffkit's name of the type, or None if it is none that tensors have."""
    datatype = dataset.id.get_type()
    kind = datatype.get_class()
    if kind == h5py.h5t.OPAQUE:
        dtype = dataset.attrs.get("dtype")
        dtype = dtype.decode() if isinstance(dtype, bytes) else dtype
        return "bf16" if datatype.get_size() == 2 and dtype == "bfloat16" else None
    if kind == h5py.h5t.FLOAT and datatype.get_size() == 2 and datatype.get_fields() == BF16_FIELDS:
        return "bf16"
    if kind not in (h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.ENUM, h5py.h5t.COMPOUND):
        return None
    try:
        dtype = dataset.dtype
    except (TypeError, ValueError):
        return None
    if kind == h5py.h5t.FLOAT and dtype.itemsize != datatype.get_size():
        return None
    if kind == h5py.h5t.ENUM and dtype != bool:
        return None
    return NAMES.get(dtype.name)


def contents(dataset, name):
    values = dataset[()]
    if name == "bf16" and dataset.dtype.kind == "f":
        values = (values.astype("<f4").view("<u4") >> 16).astype("<u2")
    values = np.asarray(values)
    if values.dtype.kind in "iufc":
        values = values.astype(values.dtype.newbyteorder("<"))
    return values.tobytes()


def describe(dataset):
    if dataset.is_virtual or dataset.external or dataset.shape is None:
        return None
    name = element_type(dataset)
    if name is None:
        return None
    plist = dataset.id.get_create_plist()
    filters = {plist.get_filter(i)[0] for i in range(plist.get_nfilters())}
    digest = None
    if filters <= PLAIN_FILTERS:
        digest = xxhash.xxh3_128_hexdigest(contents(dataset, name))
    return {"aliases": [], "type": name, "shape": list(dataset.shape), "hash": digest}


def tensors(path):
    found, by_address, groups = {}, {}, set()

    def visit(group, prefix):
        address = h5py.h5o.get_info(group.id).addr
        if address in groups:
            return
        groups.add(address)
        for name in group:
            if isinstance(name, bytes):  # not valid UTF-8
                continue
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                continue
            item = group[name]
            if isinstance(item, h5py.Group):
                visit(item, prefix + name + "/")
            elif isinstance(item, h5py.Dataset):
                address = h5py.h5o.get_info(item.id).addr
                by_address.setdefault(address, []).append(prefix + name)

    with h5py.File(path) as file:
        visit(file, "")
        for names in by_address.values():
            first, *others = sorted(names, key=str.encode)
            row = describe(file[first])
            if row is not None:
                found[first] = row | {"aliases": others}
    return found


if __name__ == "__main__":
    result = {}
    for folder in map(pathlib.Path, sys.argv[1:]):
        for path in sorted(folder.iterdir()):
            if h5py.is_hdf5(path):
                result[f"{folder.name}/{path.name}"] = tensors(path)
    # A line for each tensor.
    for name in result:
        rows = ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in result[name].items())
        result[name] = f" {json.dumps(name)}: {{\n{rows}\n }}"
    print("{\n" + ",\n".join(result.values()) + "\n}")
