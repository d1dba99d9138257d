"""Makes Resources/types.safetensors, by the safetensors package: a tensor of every type.

    every_type.py Resources/types.safetensors
"""

import sys

import numpy as np
import safetensors

WIDTHS = {
    "bool": 1, "uint8": 1, "int8": 1, "uint16": 2, "int16": 2, "uint32": 4, "int32": 4,
    "uint64": 8, "int64": 8, "float16": 2, "bfloat16": 2, "float32": 4, "float64": 8,
    "float8_e4m3fn": 1, "float8_e5m2": 1, "float8_e8m0fnu": 1, "complex64": 8}
SHAPES = [[2, 3], [5], [], [0, 4]]

tensors, keep = {}, []
for number, (dtype, width) in enumerate(sorted(WIDTHS.items())):
    shape = SHAPES[number % 4]
    count = int(np.prod(shape)) * width
    # Byte j of tensor i; of booleans, its lowest bit.
    data = np.array([(7 * j + 13 * number) % 251 for j in range(count)], np.uint8)
    if dtype == "bool":
        data &= 1
    keep.append(data)
    tensors[f"t/{dtype}"] = safetensors.TensorSpec(
        dtype=dtype, shape=shape, data_ptr=data.ctypes.data, data_len=data.nbytes)
safetensors.serialize_file(tensors, sys.argv[1], metadata={"who": "diffkit", "quote": "\"\\é\n"})
