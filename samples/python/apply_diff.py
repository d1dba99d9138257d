"""Applies a diff to the arrays of an .npz file.

    python apply_diff.py task.diff in.npz out.npz

What the diff inserts is added, what it deletes is left out. All arrays are verified by their
fingerprints before the first one is touched.
"""

import sys

import diffkit
import numpy as np


def main(diff_path: str, source: str, output: str) -> None:
    arrays = dict(np.load(source))
    with diffkit.open(diff_path) as diff:
        undo = diff.apply(arrays)
    print(f"{len(undo.tensors)} tensors changed")
    np.savez(output, **arrays)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: apply_diff.py DIFF IN.npz OUT.npz")
    try:
        main(*sys.argv[1:])
    except (diffkit.DiffkitError, OSError) as error:
        sys.exit(f"apply_diff: {error}")
