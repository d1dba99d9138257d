"""Makes Resources/large-chunks.h5: tensors in one chunk of more than 16 MB, of few bytes in the file.

    large_chunks.py Resources/large-chunks.h5
"""

import sys

import h5py
import numpy as np

shape = (4200, 1024)
values = (np.arange(shape[0] * shape[1]) // 4099 % 11).astype("f4").reshape(shape)
with h5py.File(sys.argv[1], "w") as file:
    file.create_dataset("deflate", data=values, chunks=shape, compression=6)
    file.create_dataset(
        "all big-endian", data=values[::-1].astype(">f4"), chunks=shape, shuffle=True, compression=4,
        fletcher32=True)
    # The edge cuts this one, so that libhdf5 has it.
    file.create_dataset(
        "cut", data=values, chunks=(4300, 1024), maxshape=(None, 1024), compression=9)
    file["small"] = np.arange(5, dtype="f4")
