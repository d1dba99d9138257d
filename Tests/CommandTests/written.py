"""What the safetensors package reads in files that diffkit wrote, as written.json.

    diffkit convert samples/textgenrnn_weights.hdf5 textgenrnn.safetensors
    diffkit convert Tests/CheckpointsTests/Resources/base.h5 kinds.safetensors
    written.py textgenrnn.safetensors kinds.safetensors > written.json

`file` is XXH3-128 of the whole file: the tests compare it with what diffkit writes today, so that
what the package said of those bytes holds for these. `tensors` is, for each name, the type, the
shape and XXH3-128 of the bytes.
"""

import json
import pathlib
import sys

import xxhash
from safetensors import deserialize, safe_open

files = {}
for path in map(pathlib.Path, sys.argv[1:]):
    data = path.read_bytes()
    with safe_open(path, framework="np") as file:
        metadata = file.metadata()
    files[path.stem] = {
        "file": xxhash.xxh3_128_hexdigest(data),
        "metadata": metadata,
        "tensors": {
            name: [entry["dtype"], entry["shape"], xxhash.xxh3_128_hexdigest(bytes(entry["data"]))]
            for name, entry in sorted(deserialize(data))
        },
    }
print(json.dumps(files, indent=1, sort_keys=True))
