"""Makes Resources/ten-steps.json: ten steps of AdamW on a whole model, without dropout.

    python Tests/DiffTrainingTests/ten_steps.py ../shared/data    # torch, transformers, h5py

Two runs: MiniLM-L6 on ../shared/data, with 160 rows of mr/train.2k, every twelfth, and the model and
messages in samples/. Batches are of 16; the head is that of the golden files. Without an argument the
first run is kept.
"""
import json, pathlib, sys
import h5py, torch
from safetensors.torch import load_file
from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

here = pathlib.Path(__file__).parent
samples = here.parents[1] / "samples"
torch.set_num_threads(2)


def losses(folder, weights, pooler, head, table, every, rate):
    config = json.loads((folder / "config.json").read_text())
    config |= dict(hidden_dropout_prob=0, attention_probs_dropout_prob=0, num_labels=2,
                   attn_implementation="eager")
    model = BertForSequenceClassification(BertConfig(**config))
    state = {"classifier.weight": head, "classifier.bias": torch.zeros(2)}
    with h5py.File(weights) as file:
        def add(name, tensor):
            if isinstance(tensor, h5py.Dataset):
                state["bert." + name.replace("/", ".")] = torch.tensor(tensor[()]).float()
        file.visititems(add)
    missing = model.load_state_dict(state, strict=False)
    assert not missing.unexpected_keys, missing
    assert all(not pooler and "pooler" in name for name in missing.missing_keys), missing
    model.eval()

    tokenizer = BertTokenizerFast(str(folder / "vocab.txt"), do_lower_case=True)
    rows = [line.rstrip("\n").split("\t") for line in open(table, encoding="utf8")][::every][:160]
    labels = sorted({row[1] for row in rows})
    settings = dict(rate=rate, decay=0.0, epsilon=1e-8)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, eps=settings["epsilon"],
                                  weight_decay=settings["decay"])
    found = []
    for start in range(0, 160, 16):
        batch = rows[start:start + 16]
        inputs = tokenizer([row[0] for row in batch], padding=True, truncation=True,
                           max_length=128, return_tensors="pt")
        targets = torch.tensor([labels.index(row[1]) for row in batch])
        states = model.bert(**inputs)
        logits = model.classifier(states.pooler_output if pooler else states[0][:, 0])
        loss = torch.nn.functional.cross_entropy(logits, targets)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        found.append(loss.item())
    return {**settings, "labels": labels, "losses": found}


out = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else here / "Resources"
runs = json.loads((here / "Resources/ten-steps.json").read_text())
if len(sys.argv) > 1:
    shared = pathlib.Path(sys.argv[1])
    with h5py.File(shared / "golden/minilm-l6.golden.h5") as file:
        head = torch.tensor(file["grad/head/weight_init"][()])
    folder = shared / "models/minilm-l6"
    runs["minilm-l6"] = losses(
        folder, folder / "model.h5", True, head, shared / "tasks/mr/train.2k.tsv", 12, 5e-5)
folder = samples / "minilm-l3-small"
head = load_file(here / "Resources/minilm-l3.safetensors")["grad/head/weight_init"]
runs["minilm-l3"] = losses(
    folder, folder / "base.h5", False, head, samples / "sms-spam/train.tsv", 27, 1e-4)
(out / "ten-steps.json").write_text(json.dumps(runs, indent=1) + "\n")
