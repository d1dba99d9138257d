"""Makes Resources/ten-steps.json: ten steps of AdamW on all of MiniLM-L6, without dropout.

    python Tests/DiffTrainingTests/ten_steps.py ../shared/data    # torch, transformers, h5py

Batches are of 160 rows of mr/train.2k, every twelfth, 16 at a time; the head is that of the golden file.
"""
import json, pathlib, sys
import h5py, torch
from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

shared = pathlib.Path(sys.argv[1])
model_folder = shared / "models/minilm-l6"
settings = dict(rate=5e-5, decay=0.0, epsilon=1e-8)
torch.set_num_threads(2)

config = json.loads((model_folder / "config.json").read_text())
config |= dict(hidden_dropout_prob=0, attention_probs_dropout_prob=0, num_labels=2,
               attn_implementation="eager")
model = BertForSequenceClassification(BertConfig(**config))
state = {}
with h5py.File(model_folder / "model.h5") as file:
    def add(name, tensor):
        if isinstance(tensor, h5py.Dataset):
            state["bert." + name.replace("/", ".")] = torch.tensor(tensor[()])
    file.visititems(add)
with h5py.File(shared / "golden/minilm-l6.golden.h5") as file:
    state["classifier.weight"] = torch.tensor(file["grad/head/weight_init"][()])
state["classifier.bias"] = torch.zeros(2)
missing = model.load_state_dict(state, strict=False)
assert not missing.missing_keys, missing

tokenizer = BertTokenizerFast(str(model_folder / "vocab.txt"), do_lower_case=True)
rows = [line.rstrip("\n").split("\t")
        for line in open(shared / "tasks/mr/train.2k.tsv", encoding="utf8")][::12][:160]
labels = sorted({row[1] for row in rows})
optimizer = torch.optim.AdamW(model.parameters(), lr=settings["rate"], eps=settings["epsilon"],
                              weight_decay=settings["decay"])
losses = []
for start in range(0, 160, 16):
    batch = rows[start:start + 16]
    inputs = tokenizer([row[0] for row in batch], padding=True, truncation=True, max_length=128,
                       return_tensors="pt")
    targets = torch.tensor([labels.index(row[1]) for row in batch])
    loss = torch.nn.functional.cross_entropy(model(**inputs).logits, targets)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    losses.append(loss.item())
out = pathlib.Path(__file__).parent / "Resources/ten-steps.json"
out.write_text(json.dumps({**settings, "labels": labels, "losses": losses}, indent=1) + "\n")
