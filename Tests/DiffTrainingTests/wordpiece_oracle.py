"""Writes Resources/wordpiece.json: the results of Hugging Face's BertTokenizer for many texts.

    wordpiece_oracle.py ../shared/data Resources/wordpiece.json

Samples are stored with their ids; the rest as XXH3-64 over groups of texts: for each text the
number of tokens, then id, first and last byte of each, 32 bits little-endian. Needs transformers,
tokenizers and xxhash; written with transformers 5.23.0 and tokenizers 0.23.3.
"""

import json
import pathlib
import struct
import sys

import xxhash
from transformers import BertTokenizer

from random_texts import random_texts

here = pathlib.Path(__file__).parent
shared = pathlib.Path(sys.argv[1])


def read_vocabulary(path):
    return {piece: i for i, piece in enumerate(path.read_text("utf-8").rstrip("\n").split("\n"))}


def encoded(tokenizer, texts):
    for text, encoding in zip(
            texts, tokenizer._tokenizer.encode_batch(texts, add_special_tokens=False)):
        starts = [0]
        for scalar in text:
            starts.append(starts[-1] + len(scalar.encode("utf-8")))
        yield encoding.ids, [(starts[a], starts[b]) for a, b in encoding.offsets]


def digest(tokenizer, texts, sources=True):
    data = bytearray()
    for ids, offsets in encoded(tokenizer, texts):
        data += struct.pack("<i", len(ids))
        for i, (a, b) in zip(ids, offsets):
            data += struct.pack("<3i", i, a, b) if sources else struct.pack("<i", i)
    return xxhash.xxh3_64_hexdigest(bytes(data))


def blocks(tokenizer, texts, size, sources=True):
    return [digest(tokenizer, texts[i:i + size], sources) for i in range(0, len(texts), size)]


def task_digests(tokenizer, tasks=shared / "tasks"):
    digests = {}
    for file in sorted(tasks.glob("*/*.tsv")):
        texts = [t for line in file.read_text("utf-8").rstrip("\n").split("\n")
                 for t in line.split("\t")[:-1]]
        digests[f"{file.parent.name}/{file.name}"] = digest(tokenizer, texts)
    return digests


def lines(name, count):
    rows = (shared / "tasks" / name).read_text("utf-8").split("\n")[:count]
    return [row.split("\t")[0] for row in rows]


def main(path):
    # Every scalar is a piece, so that ids determine the cleaned text.
    scalars = [chr(c) for c in range(1, 0x30000) if not 0xD800 <= c < 0xE000 and c not in (10, 13)]
    every = {p: i for i, p in enumerate(
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + scalars + ["##" + s for s in scalars])}
    options = {
        "uncased": {},
        "cased": {"do_lower_case": False},
        "cased-stripped": {"do_lower_case": False, "strip_accents": True},
        "uncased-accents": {"strip_accents": False, "tokenize_chinese_chars": False},
    }
    all_scalars = ["a" + chr(c) + "B" for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    oracle = {"scalars": {}, "random": {}}
    for name, settings in options.items():
        tokenizer = BertTokenizer(vocab=every, **settings)
        oracle["scalars"][name] = blocks(tokenizer, all_scalars, 16384)
        oracle["random"][name] = blocks(tokenizer, random_texts(6, 10_000), 500)

    large = BertTokenizer(vocab=read_vocabulary(shared / "models/minilm-l6/vocab.txt"))
    small = BertTokenizer(vocab=read_vocabulary(here / "Resources/vocab.txt"))
    oracle["tasks"] = task_digests(large)
    oracle["shipped"] = task_digests(small, here.parents[1] / "samples")
    samples = lines("sms-spam/dev.tsv", 40) + lines("vader-movie/dev.tsv", 40) + random_texts(7, 120)
    oracle["samples"] = [
        {"text": text, "ids": ids, "offsets": [b for pair in offsets for b in pair]}
        for text, (ids, offsets) in zip(samples, encoded(small, samples))]
    oracle["pairs"] = []
    for i in range(60):
        first, second, length = samples[i], samples[(i * 7 + 3) % 80], 3 + i % 40
        whole = small(first, second, truncation="longest_first", max_length=length)
        oracle["pairs"].append({
            "first": first, "second": second, "length": length, "ids": whole["input_ids"],
            "types": whole["token_type_ids"],
            "single": small(first, truncation=True, max_length=length)["input_ids"]})
    with open(path, "w") as out:
        json.dump(oracle, out, separators=(",", ":"))
        out.write("\n")


if __name__ == "__main__":
    main(sys.argv[2])
