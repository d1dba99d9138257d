"""The peer of TrainingRun.swift: the same batches of MiniLM-L6 in PyTorch, 2 threads.

    training_peer.py KIND SHARED BATCH BATCHES

Prints the median of the seconds of a batch; sequences are padded to the longest of their batch.
"""
import json, statistics, sys, time
import h5py, torch
from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

kind, shared, size, batches = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
folder = shared + "/models/minilm-l6"
torch.set_num_threads(2)
torch.manual_seed(1)
model = BertForSequenceClassification(BertConfig(**json.load(open(folder + "/config.json")), num_labels=2))
state = {}
with h5py.File(folder + "/model.h5") as file:
    file.visititems(lambda name, it: state.__setitem__("bert." + name.replace("/", "."), torch.tensor(it[()]))
                    if isinstance(it, h5py.Dataset) else None)
model.load_state_dict(state, strict=False)
del state
tokenizer = BertTokenizerFast(folder + "/vocab.txt", do_lower_case=True)
rows = [line.rstrip("\n").split("\t")
        for line in open(shared + "/tasks/mr/train.2k.tsv", encoding="utf8")][:size * batches]
ids = [tokenizer(row[0], truncation=True, max_length=128)["input_ids"] for row in rows]
if kind in ("train128", "train512"):
    ids = [i + list(range(1000 + len(i), 1000 + int(kind[5:]))) for i in ids]
optimizer = torch.optim.AdamW(model.parameters(), lr=5e-5, eps=1e-8, weight_decay=0)
model.train(kind != "infer")
times = []
for start in range(0, len(rows), size):
    part = ids[start:start + size]
    longest = max(map(len, part))
    inputs = torch.tensor([i + [0] * (longest - len(i)) for i in part])
    mask = torch.tensor([[1] * len(i) + [0] * (longest - len(i)) for i in part])
    labels = torch.tensor([int(row[1]) for row in rows[start:start + size]])
    begin = time.perf_counter()
    if kind == "infer":
        with torch.inference_mode():
            model(input_ids=inputs, attention_mask=mask)
    else:
        loss = torch.nn.functional.cross_entropy(model(input_ids=inputs, attention_mask=mask).logits, labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    times.append(time.perf_counter() - begin)
print(statistics.median(times))
