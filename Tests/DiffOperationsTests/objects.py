"""Compares the objects of two HDF5 files: groups, links, datasets, their datatypes, layouts,
filters, fill values and attributes, by h5py; with `all`, the elements too; and the user block.

    objects.py all|structure ONE OTHER        prints what differs, exits with 1 if something does
"""

import sys

import h5py
import numpy as np


def value(data):
    """Something that compares equal if and only if it is the same."""
    if isinstance(data, h5py.Empty):
        return ("empty", str(data.dtype))
    data = np.asarray(data)
    if data.dtype.hasobject:
        return (data.shape, [repr(x) for x in data.reshape(-1).tolist()])
    return (data.shape, str(data.dtype), data.tobytes())


def attributes(item):
    rows = {}
    for name in item.attrs:
        attribute = h5py.h5a.open(item.id, name.encode() if isinstance(name, str) else name)
        try:
            content = value(item.attrs[name])
        except (OSError, TypeError):  # what NumPy has no type for
            content = None
        rows[name] = (attribute.get_type().encode(), attribute.get_space().shape, content)
    return rows


def dataset(item, elements):
    plist = item.id.get_create_plist()
    rows = {
        "type": item.id.get_type().encode(), "shape": item.shape, "maximum": item.maxshape,
        "layout": plist.get_layout(), "chunks": item.chunks, "times": plist.get_obj_track_times(),
        "filters": [plist.get_filter(i) for i in range(plist.get_nfilters())],
        "fill": plist.fill_value_defined(),
        "external": item.external,
    }
    if elements and not item.is_virtual and not item.external:
        try:
            rows["elements"] = value(item[()])
        except (OSError, TypeError, ValueError):  # filters or types that are not here
            rows["elements"] = "unreadable"
    return rows


def objects(path, elements):
    found, groups = {}, {}

    def visit(group, prefix):
        found[prefix] = ("group", attributes(group))
        address = h5py.h5o.get_info(group.id).addr
        if address in groups:
            found[prefix] += (groups[address],)
            return
        groups[address] = prefix
        for name in group:
            text = name if isinstance(name, str) else repr(name)
            if isinstance(name, bytes):
                found[prefix + text] = "a name that is not UTF-8"
                continue
            link = group.get(name, getlink=True)
            if isinstance(link, h5py.SoftLink):
                found[prefix + text] = ("soft", link.path)
            elif isinstance(link, h5py.ExternalLink):
                found[prefix + text] = ("external", link.filename, link.path)
            else:
                item = group[name]
                if isinstance(item, h5py.Group):
                    visit(item, prefix + text + "/")
                elif isinstance(item, h5py.Dataset):
                    address = h5py.h5o.get_info(item.id).addr
                    first = groups.setdefault(address, prefix + text)
                    found[prefix + text] = (first, dataset(item, elements), attributes(item))
                else:
                    found[prefix + text] = "a named datatype"

    with h5py.File(path) as file:
        visit(file, "/")
        block = file.userblock_size
    with open(path, "rb") as file:
        found["user block"] = file.read(block)
    return found


mode, *paths = sys.argv[1:]
one, other = (objects(path, mode == "all") for path in paths)
different = sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
for name in different:
    print(name, repr(one.get(name))[:300], repr(other.get(name))[:300], sep="\n  ")
sys.exit(1 if different else 0)
