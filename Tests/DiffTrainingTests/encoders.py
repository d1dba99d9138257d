"""Makes Resources/encoder-*.{json,safetensors}: small random encoders, and PyTorch's numbers for them.

    python Tests/DiffTrainingTests/encoders.py    # torch, transformers, safetensors

For each: the configuration, the weights under Hugging Face's names, and in *.golden.safetensors
token ids, scores, the loss and its gradient with respect to every weight.
"""
import json, pathlib
import torch
from safetensors.torch import save_file
from transformers import (BertConfig, BertForSequenceClassification, DistilBertConfig,
                          DistilBertForQuestionAnswering, RobertaConfig, RobertaModel)

folder = pathlib.Path(__file__).parent / "Resources"
torch.manual_seed(6)
lengths = [5, 11, 1, 8]


def inputs(vocabulary, padding):
    ids = torch.full((len(lengths), max(lengths)), padding)
    for row, length in enumerate(lengths):
        ids[row, :length] = torch.randint(5, vocabulary, (length,))
    mask = torch.arange(max(lengths))[None] < torch.tensor(lengths)[:, None]
    return ids, mask.long()


def save(name, model, config, weights, dtype, golden):
    config["model_type"] = model.config.model_type
    (folder / f"encoder-{name}.json").write_text(json.dumps(config, indent=1) + "\n")
    save_file({k: v.detach().to(dtype).contiguous() for k, v in weights.items()},
              folder / f"encoder-{name}.safetensors")
    gradients = {"gradient." + k: v.grad for k, v in weights.items() if v.grad is not None}
    save_file({k: v.detach().contiguous() for k, v in {**golden, **gradients}.items()},
              folder / f"encoder-{name}.golden.safetensors")


def randomize(model, dtype):
    """Sets weights that give every part an effect, and that `dtype` represents exactly."""
    for name, p in model.named_parameters():
        p.data = torch.randn_like(p) * 0.25 + (1 if "norm" in name.lower() and "weight" in name else 0)
        p.data = p.data.to(dtype).float()
    return model.eval()


# BERT: three classes by the pooler, pairs, GELU.
config = dict(vocab_size=60, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
              intermediate_size=48, hidden_act="gelu", max_position_embeddings=16,
              type_vocab_size=2, layer_norm_eps=1e-12)
model = randomize(BertForSequenceClassification(
    BertConfig(**config, num_labels=3, attn_implementation="eager")), torch.float32)
ids, mask = inputs(60, 0)
segments = ((torch.arange(max(lengths))[None] >= 3) * mask).long()
labels = torch.tensor([2, 0, 1, 1])
out = model(input_ids=ids, attention_mask=mask, token_type_ids=segments, labels=labels)
out.loss.backward()
save("bert", model, config, dict(model.named_parameters()), torch.float32,
     dict(ids=ids, mask=mask, segments=segments, labels=labels, scores=out.logits, loss=out.loss[None]))

# RoBERTa: a number by the first token, GELU by tanh, float16.
config = dict(vocab_size=60, hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
              intermediate_size=48, hidden_act="gelu_new", max_position_embeddings=16,
              type_vocab_size=1, layer_norm_eps=1e-5, pad_token_id=1)
model = randomize(RobertaModel(RobertaConfig(**config, attn_implementation="eager"),
                               add_pooling_layer=False), torch.float16)
head = randomize(torch.nn.Linear(32, 1), torch.float16)
ids, mask = inputs(60, 1)
targets = torch.tensor([0.5, -1.25, 3.0, 0.0])
scores = head(model(input_ids=ids, attention_mask=mask).last_hidden_state[:, 0])
loss = torch.nn.functional.mse_loss(scores[:, 0], targets)
loss.backward()
weights = {"roberta." + k: v for k, v in model.named_parameters()}
weights |= {"classifier." + k: v for k, v in head.named_parameters()}
save("roberta", model, config, weights, torch.float16,
     dict(ids=ids, mask=mask, targets=targets, scores=scores, loss=loss[None]))

# DistilBERT: spans, GELU, bfloat16.
config = dict(vocab_size=60, dim=32, n_layers=2, n_heads=4, hidden_dim=48, activation="gelu",
              max_position_embeddings=16)
model = randomize(DistilBertForQuestionAnswering(
    DistilBertConfig(**config, attn_implementation="eager")), torch.bfloat16)
ids, mask = inputs(60, 0)
starts, ends = torch.tensor([1, 3, 0, 7]), torch.tensor([3, 10, 0, 7])
out = model(input_ids=ids, attention_mask=mask)
scores = torch.stack([out.start_logits, out.end_logits], -1)
# An answer cannot begin in the padding.
hidden = torch.where(mask[..., None] == 1, scores, torch.finfo(torch.float32).min)
loss = (torch.nn.functional.cross_entropy(hidden[..., 0], starts)
        + torch.nn.functional.cross_entropy(hidden[..., 1], ends)) / 2
loss.backward()
save("distilbert", model, config, dict(model.named_parameters()), torch.bfloat16,
     dict(ids=ids, mask=mask, starts=starts, ends=ends, scores=scores[mask == 1], loss=loss[None]))
