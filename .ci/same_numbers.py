"""Whether files of two folders hold the same numbers but for rounding: JSON, safetensors and HDF5.

    same_numbers.py ONE OTHER NAME ...    prints what differs, exits with 1 if something does

Numbers may differ by a thousandth, by 1e-4 of the largest of their list, or by 1e-6: what is zero but
for rounding. Texts may not, unless they name the version of a package.
"""

import json
import pathlib
import sys

import h5py
import numpy as np
from safetensors.torch import load_file

VERSIONS = {"torch", "transformers", "versions"}


def leaves(value, path=""):
    """The lists of numbers in JSON, and what is none, by where they stand."""
    if isinstance(value, dict):
        for name, member in value.items():
            if name not in VERSIONS:
                yield from leaves(member, f"{path}/{name}")
    elif isinstance(value, list) and not all(isinstance(x, (int, float)) for x in value):
        for index, element in enumerate(value):
            yield from leaves(element, f"{path}/{index}")
    else:
        yield path, value


def contents(path):
    if path.suffix == ".json":
        return dict(leaves(json.loads(path.read_text("utf-8"))))
    if path.suffix == ".safetensors":
        return {name: tensor.double().numpy() for name, tensor in load_file(path).items()}
    tensors = {}
    with h5py.File(path) as file:
        def add(name, item):
            if isinstance(item, h5py.Dataset):
                tensors[name] = item[()]
        file.visititems(add)
    return tensors


def same(one, other):
    try:
        one, other = np.asarray(one, float), np.asarray(other, float)
    except (TypeError, ValueError):
        return one == other
    if one.shape != other.shape:
        return False
    largest = np.abs(other).max(initial=0)
    return np.allclose(one, other, rtol=1e-3, atol=1e-4 * largest + 1e-6, equal_nan=True)


one, other = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
faults = 0
for name in sys.argv[3:]:
    a, b = contents(one / name), contents(other / name)
    differing = [key for key in a.keys() | b.keys()
                 if key not in a or key not in b or not same(a[key], b[key])]
    faults += len(differing)
    print(f"{name}: {len(a)} lists, {len(differing)} differ", *sorted(differing)[:5])
sys.exit(faults > 0)
