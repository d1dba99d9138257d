"""Scores of DiffPruning beside `diffkit train`: one task, equal settings, some seeds; not a test.

    python Tests/PythonTests/scores.py SHARED [TASK [MODEL [SEEDS [ROWS [EPOCHS [WHICH]]]]]]

SHARED is the folder of the shared data. By default MiniLM-L6 on sms-spam, trained by both, one after
the other; WHICH names one of the two. DiffPruning runs on a GPU if there is one.
0.5 % of the weights, EPOCHS with gates and EPOCHS without, no dropout, [CLS] as the text, batches
of 16, seeds 0, 1, ...
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import diffkit
import diffkit.torch as dt
import torch
import transformers
from diffkit._program import program_path
from safetensors.torch import load_file

BATCH, DENSITY = 16, 0.005
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
Rows = list[tuple[list[int], int]]


class Classifier(torch.nn.Module):
    """BERT without a pooler, and a head on [CLS], as `diffkit train --pooling cls` has it."""

    def __init__(self, folder: Path, weights: dict[str, Any], classes: int) -> None:
        super().__init__()
        facts = json.loads((folder / "config.json").read_text())
        facts |= {"hidden_dropout_prob": 0, "attention_probs_dropout_prob": 0}
        config = transformers.BertConfig(**facts)
        self.bert = transformers.BertModel(config, add_pooling_layer=False)
        self.bert.load_state_dict({n: t.float() for n, t in weights.items()}, strict=False)
        self.classifier = torch.nn.Linear(config.hidden_size, classes)
        torch.nn.init.normal_(self.classifier.weight, std=0.02)
        torch.nn.init.zeros_(self.classifier.bias)

    def forward(self, rows: list[list[int]]) -> Any:
        longest = max(map(len, rows))
        padded = [row + [0] * (longest - len(row)) for row in rows]
        masks = [[1] * len(row) + [0] * (longest - len(row)) for row in rows]
        ids, mask = torch.tensor([padded, masks], device=DEVICE)
        hidden = self.bert(input_ids=ids, attention_mask=mask).last_hidden_state
        return self.classifier(hidden[:, 0])


def rows_of(path: Path, tokenizer: Any) -> Rows:
    lines = [line.rsplit("\t", 1) for line in path.read_text("utf-8").rstrip("\n").split("\n")]
    labels = {label: number for number, label in enumerate(sorted({line[1] for line in lines}))}
    ids = tokenizer([line[0] for line in lines], truncation=True, max_length=128)["input_ids"]
    return [(row, labels[line[1]]) for row, line in zip(ids, lines)]


def accuracy(model: Any, rows: Rows) -> float:
    right = 0
    with torch.no_grad():
        for start in range(0, len(rows), 64):
            part = rows[start : start + 64]
            found = model([row for row, _ in part]).argmax(1)
            right += int((found.cpu() == torch.tensor([label for _, label in part])).sum())
    return right / len(rows)


def in_torch(
    base: Path, weights: dict[str, Any], train: Rows, dev: Rows, seed: int, epochs: int, diff: Path
) -> float:
    torch.manual_seed(seed)
    model = Classifier(base.parent, weights, 2).to(DEVICE)
    steps = epochs * -(-len(train) // BATCH)
    pruning = dt.DiffPruning(
        model, DENSITY, head=["classifier.*"], gate_steps=steps, fixed_steps=steps, seed=seed
    )
    for _ in range(2 * epochs):
        order = torch.randperm(len(train)).tolist()
        for start in range(0, len(order), BATCH):
            part = [train[index] for index in order[start : start + BATCH]]
            labels = torch.tensor([label for _, label in part], device=DEVICE)
            torch.nn.functional.cross_entropy(model([row for row, _ in part]), labels).backward()
            pruning.step()
    pruning.save(diff, overwrite=True)
    return accuracy(model, dev)


def natively(base: Path, train: Path, dev: Path, seed: int, epochs: int, diff: Path) -> float:
    said = subprocess.run(
        [program_path(), "train", str(base), "--task", str(train), "--dev", str(dev),
         "--seed", str(seed), "--epochs", str(epochs), "--fixed-epochs", str(epochs), "--density",
         str(DENSITY), "--batch", str(BATCH), "--no-dropout", "--pooling", "cls", "-o", str(diff),
         "--force", "--json"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    return float(_find(json.loads(said), "accuracy"))


def _find(value: Any, name: str) -> Any:
    """The first member of that name."""
    if isinstance(value, dict):
        if name in value:
            return value[name]
        value = list(value.values())
    for inner in value if isinstance(value, list) else []:
        found = _find(inner, name)
        if found is not None:
            return found
    return None


def main(
    shared: str, task: str = "sms-spam", model: str = "minilm-l6", seeds: str = "3",
    rows: str = "2000", epochs: str = "3", which: str = "",
) -> None:  # fmt: skip
    torch.set_num_threads(2)
    tasks = Path(shared) / "tasks" / task
    (base,) = (Path(shared) / "models" / model).glob("*.h5")
    vocabulary = str(base.parent / "vocab.txt")
    tokenizer = transformers.BertTokenizerFast(vocabulary, do_lower_case=True)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        diffkit.convert(base, scratch / "base.safetensors")
        weights = load_file(scratch / "base.safetensors")
        lines = (tasks / "train.2k.tsv").read_text("utf-8").split("\n")[: int(rows)]
        (scratch / "train.tsv").write_text("\n".join(lines).rstrip("\n") + "\n", "utf-8")
        train = rows_of(scratch / "train.tsv", tokenizer)
        dev = rows_of(tasks / "dev.tsv", tokenizer)
        both = ("diffkit train", "DiffPruning")
        scores: dict[str, list[float]] = {name: [] for name in both if which in ("", name)}
        for seed in range(int(seeds)):
            for name in scores:
                start = time.perf_counter()
                diff = scratch / "task.diff"
                found = (
                    natively(base, scratch / "train.tsv", tasks / "dev.tsv", seed, int(epochs), diff)
                    if name == "diffkit train"
                    else in_torch(base, weights, train, dev, seed, int(epochs), diff)
                )
                scores[name].append(found)
                took = time.perf_counter() - start
                size = diff.stat().st_size
                print(f"seed {seed}: {name}: {found:.4f}, {size} bytes, {took:.0f} s", flush=True)
    for name, found_ in scores.items():
        spread = f", {min(found_):.4f} to {max(found_):.4f}"
        print(f"{name}: mean {statistics.mean(found_):.4f}{spread}, {len(found_)} seeds")


if __name__ == "__main__":
    main(*sys.argv[1:])
