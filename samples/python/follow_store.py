"""A worker that follows a store in a folder: weights in memory, changed where they are.

diffkit store fetch s3://bucket/runs step-0 --to local --watch &   # what is there, and what comes
python follow_store.py local step-0 step-5

The store is that of `publish_steps.py`, brought by `store fetch`, which has checked every link. A server
such as vLLM hands the patches to its workers (`collective_rpc`) in place of `index_copy_` here; what it has
merged, such as q, k and v, is at other offsets there.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import diffkit.torch
import torch
from safetensors.torch import load_file


def versions(store: Path) -> dict[str, dict]:
    """The versions by their names; the index is replaced as a whole, so it is always one state."""
    index = json.loads((store / "store.json").read_text())
    return {version["name"]: version for version in index["versions"]}


def way(store: Path, here: str, there: str) -> list[dict]:
    """The steps from a version to one that comes from it; empty if it is not there yet."""
    found, steps = versions(store), []
    while there != here:
        if there not in found or found[there].get("parent") is None:
            return []
        steps.append(found[there])
        there = found[there]["parent"]
    return steps[::-1]


def checkpoint(store: Path, name: str) -> dict[str, torch.Tensor]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint.safetensors"
        subprocess.run(["diffkit", "store", "get", store, name, "-o", path, "-q"], check=True)
        return load_file(path)


def main(store: Path, here: str, last: str) -> None:
    weights = checkpoint(store, here)
    while here != last:
        steps = way(store, here, last)
        if not steps:
            # Not all of it has come: as far as it goes.
            newest = list(versions(store))[-1]
            steps = way(store, here, newest)
        for step in steps:
            start = time.perf_counter()
            changes = 0
            diff = store / "links" / f"{step['link']['diff']}.diff"
            for patch in diffkit.torch.patches(diff, weights):
                weights[patch.name].view(-1).index_copy_(0, patch.indices.long(), patch.values)
                changes += len(patch.indices)
            here = step["name"]
            print(f"{here}: {changes} weights, {1e3 * (time.perf_counter() - start):.1f} ms")
        if not steps:
            time.sleep(0.1)
    exact = checkpoint(store, here)
    assert all(torch.equal(weights[name], exact[name]) for name in exact)
    print(f"bit for bit {here}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
