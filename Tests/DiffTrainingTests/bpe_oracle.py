"""Writes Resources/bpe-vocab.json, bpe-merges.txt and bpe.json: a small byte-level vocabulary, and
the results of Hugging Face's RobertaTokenizer for many texts with it.

    bpe_oracle.py ../shared/data Resources

Samples are stored with their ids; the rest as hashes, as in wordpiece_oracle.py. The pairs that were
learned are followed by pairs of "a", "1" and a space with every byte that begins a scalar beyond
ASCII: they are joined only if the scalar is a letter, a number, no white space.
"""

import json
import pathlib
import sys

from tokenizers import ByteLevelBPETokenizer
from transformers import RobertaTokenizer

from random_texts import random_texts
from wordpiece_oracle import blocks, encoded, lines, task_digests

shared, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
texts = lines("sms-spam/train.tsv", 4000) + lines("vader-movie/train.tsv", 8000)
trained = ByteLevelBPETokenizer()
trained.train_from_iterator(
    texts, vocab_size=1200, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
model = json.loads(trained.to_str())["model"]
vocabulary, merges = model["vocab"], [tuple(pair) for pair in model["merges"]]
leads = [bytes([b]).decode("latin-1") for b in range(0xC2, 0xF5)]
for left in "a1Ġ":
    for right in leads:
        if left + right not in vocabulary:
            vocabulary[left + right] = len(vocabulary)
            merges.append((left, right))
with open(folder / "bpe-vocab.json", "w") as out:
    json.dump(vocabulary, out, ensure_ascii=False, separators=(",", ":"))
    out.write("\n")
with open(folder / "bpe-merges.txt", "w") as out:
    out.write("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))

kinds = [f"a{c} 1{c} {c}" for c in map(chr, range(0x110000)) if not 0xD800 <= ord(c) < 0xE000]
oracle = {"scalars": {}, "random": {}}
for name, prefix in [("plain", False), ("prefixed", True)]:
    tokenizer = RobertaTokenizer(vocab=vocabulary, merges=merges, add_prefix_space=prefix)
    # With an added space the sources after a special token are off by one there: only ids.
    oracle["random"][name] = blocks(tokenizer, random_texts(6, 10_000), 500, not prefix)
    if prefix:
        break
    oracle["scalars"][name] = blocks(tokenizer, kinds, 16384)
    oracle["tasks"] = task_digests(tokenizer)
    samples = lines("sms-spam/dev.tsv", 30) + lines("vader-movie/dev.tsv", 30)
    samples += random_texts(7, 60)
    oracle["samples"] = [
        {"text": text, "ids": ids, "offsets": [b for pair in offsets for b in pair]}
        for text, (ids, offsets) in zip(samples, encoded(tokenizer, samples))]
    oracle["pairs"] = []
    for i in range(30):
        first, second, length = samples[i], samples[(i * 7 + 3) % 60], 4 + i % 40
        whole = tokenizer(first, second, truncation="longest_first", max_length=length)
        oracle["pairs"].append(
            {"first": first, "second": second, "length": length, "ids": whole["input_ids"]})
with open(folder / "bpe.json", "w") as out:
    json.dump(oracle, out, separators=(",", ":"))
    out.write("\n")
