"""Makes Resources/minilm-l3.{json,safetensors}: PyTorch's numbers for the model in samples/.

    python Tests/DiffTrainingTests/minilm.py    # torch, transformers, safetensors, h5py

For texts and pairs of samples/sms-spam: token ids and the first columns of every hidden state; the
loss of a head on [CLS] and its gradients, some whole, a summary of all; the losses of ten steps of
AdamW without dropout. The names are those of ../shared/data/golden. Written with torch 2.13.0 and
transformers 5.24.0; other versions and processors differ in the last bits.
"""
import json, pathlib, sys
import h5py, torch, transformers
from safetensors.torch import save_file
from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

root = pathlib.Path(__file__).parents[2]
folder = root / "samples/minilm-l3-small"
out = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "Resources"
COLUMNS, LENGTH = 8, 24
WHOLE = ["embeddings.LayerNorm.weight", "encoder.layer.0.attention.output.LayerNorm.weight",
         "encoder.layer.1.intermediate.dense.bias", "encoder.layer.2.output.dense.bias"]
torch.manual_seed(3)
torch.set_num_threads(2)

config = json.loads((folder / "config.json").read_text())
config |= dict(hidden_dropout_prob=0, attention_probs_dropout_prob=0)
model = BertForSequenceClassification(
    BertConfig(**config, num_labels=2, attn_implementation="eager"))
weights = {}


def add(name, tensor):
    if isinstance(tensor, h5py.Dataset):
        weights["bert." + name.replace("/", ".")] = torch.tensor(tensor[()]).float()


with h5py.File(folder / "base.h5") as file:
    file.visititems(add)
# The model has no pooler; the gradients below are of a head without one.
missing = model.load_state_dict(weights, strict=False)
assert {name.split(".")[0] for name in missing.missing_keys} == {"bert", "classifier"}, missing
assert all("pooler" in name for name in missing.missing_keys if name.startswith("bert")), missing
assert not missing.unexpected_keys, missing
bert = model.bert.eval()
tokenizer = BertTokenizerFast(str(folder / "vocab.txt"), do_lower_case=True)
rows = [line.rsplit("\t", 1) for line in
        (root / "samples/sms-spam/train.tsv").read_text("utf-8").rstrip("\n").split("\n")]
golden, summary = {}, {"torch": torch.__version__, "transformers": transformers.__version__}


def states(group, *texts):
    inputs = tokenizer(*texts, padding=True, truncation=True, max_length=LENGTH, return_tensors="pt")
    golden.update({f"{group}/{name}": tensor for name, tensor in inputs.items()})
    found = bert(**inputs, output_hidden_states=True).hidden_states
    for layer, state in enumerate(found):
        golden[f"{group}/hidden/{layer}"] = state[..., :COLUMNS]
    return found[-1]


pairs = rows[8:12]
states("pair", [row[0] for row in pairs[::2]], [row[0] for row in pairs[1::2]])
last = states("single", [row[0] for row in rows[:8]])
labels = torch.tensor([int(row[1] == "spam") for row in rows[:8]])
head = torch.nn.Linear(384, 2)
torch.nn.init.normal_(head.weight, std=0.02)
torch.nn.init.zeros_(head.bias)
golden["grad/head/weight_init"] = head.weight.clone()
logits = head(last[:, 0])
loss = torch.nn.functional.cross_entropy(logits, labels)
loss.backward()
golden |= {"grad/labels": labels, "grad/logits": logits, "grad/loss": loss[None],
           "grad/head/dweight": head.weight.grad, "grad/head/dbias": head.bias.grad}
summary["loss"] = loss.item()
summary["grad_summary"] = {}
for name, parameter in bert.named_parameters():
    if "pooler" in name:
        continue
    gradient = parameter.grad
    summary["grad_summary"][name] = {
        "l2": gradient.double().norm().item(), "first8": gradient.flatten()[:8].tolist()}
    if name in WHOLE:
        golden["grad/param/" + name.replace(".", "/")] = gradient

(out / "minilm-l3.json").write_text(json.dumps(summary, separators=(",", ":")) + "\n")
save_file({name: tensor.detach().clone(memory_format=torch.contiguous_format)
           for name, tensor in golden.items()}, out / "minilm-l3.safetensors")
