"""A training that publishes each of its steps to a store, in a folder or in a bucket.

python publish_steps.py runs 5
python publish_steps.py s3://bucket/runs 5

A step of a few bytes a changed weight is what travels; the folder `steps` holds the last two
checkpoints. For a store at an address the program is to have libcurl: `DIFFKIT_PROGRAM` names it.
"""

import subprocess
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file


def diffkit(*arguments: str) -> None:
    """The program, which says in one line what is wrong; then the training ends, too."""
    subprocess.run(["diffkit", "store", *arguments], check=True)


def main(store: str, steps: int, folder: Path = Path("steps")) -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Linear(256, 1024), torch.nn.ReLU(), torch.nn.Linear(1024, 256)
    ).to(torch.bfloat16)
    # At such a rate a step moves about one weight of bfloat16 in a hundred; at 1e-4, nine of ten.
    optimizer = torch.optim.SGD(model.parameters(), lr=2e-7)
    folder.mkdir(exist_ok=True)
    paths = [folder / "even.safetensors", folder / "odd.safetensors"]
    save_file(model.state_dict(), paths[0])
    diffkit("init", store, str(paths[0]), "--name", "step-0")
    for step in range(1, steps + 1):
        inputs = torch.randn(64, 256, dtype=torch.bfloat16)
        loss = (model(inputs) - inputs).float().square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        save_file(model.state_dict(), paths[step % 2])
        diffkit(
            *("add", store, str(paths[step % 2]), "--name", f"step-{step}"),
            # The parent as it was saved last: faster than to make it out of the store.
            *("--parent", f"step-{step - 1}", "--from", str(paths[1 - step % 2])),
            *("--meta", f"score.loss={loss.item() / inputs.numel():.4f}"),
        )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
