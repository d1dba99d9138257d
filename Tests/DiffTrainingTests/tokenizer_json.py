"""Writes Resources/tokenizers: files as transformers 5 saves them, tokenizer.json alone, and in
oracle.json the results of Hugging Face's tokenizers for many texts with each.

    tokenizer_json.py ../shared/data Resources

Hashes are those of wordpiece_oracle.py, of ids only. Needs transformers, tokenizers, xxhash;
written with transformers 5.24.0 and tokenizers 0.23.3.
"""

import json
import pathlib
import sys

from tokenizers import AddedToken
from transformers import BertTokenizer, RobertaTokenizer

from random_texts import random_texts
from wordpiece_oracle import blocks, digest, lines, read_vocabulary

shared, resources = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
folder = resources / "tokenizers"
folder.mkdir(exist_ok=True)
vocabulary = read_vocabulary(resources / "vocab.txt")
pairs = [tuple(line.split(" ")) for line in
         (resources / "bpe-merges.txt").read_text("utf-8").split("\n")[1:-1]]
letters = json.loads((resources / "bpe-vocab.json").read_text("utf-8"))


def bert(**settings):
    return BertTokenizer(vocab=vocabulary, **settings)


def roberta(**settings):
    return RobertaTokenizer(vocab=letters, merges=pairs, **settings)


kinds = {
    "bert-uncased": bert(),
    "bert-cased": bert(do_lower_case=False),
    "bert-added": bert(do_lower_case=False, strip_accents=True, tokenize_chinese_chars=False),
    "roberta": roberta(),
    "roberta-prefixed": roberta(add_prefix_space=True),
    "roberta-added": roberta(mask_token=AddedToken("<mask>", lstrip=True, normalized=False)),
}
kinds["bert-added"].add_tokens([
    AddedToken("the", single_word=True, normalized=False),
    AddedToken("aa", lstrip=True, rstrip=True, normalized=False),
    AddedToken("é", rstrip=True, normalized=False, special=True)])
kinds["roberta-added"].add_tokens([
    AddedToken("the", single_word=True), AddedToken("ab", rstrip=True), AddedToken("abc"),
    AddedToken("é", normalized=False, lstrip=True)])
oracle = {}
for name, tokenizer in kinds.items():
    path = folder / name
    tokenizer.save_pretrained(path)
    for file in path.iterdir():
        if file.name != "tokenizer.json":
            file.unlink()
    # The vocabulary without the indentation that transformers writes.
    saved = json.loads((path / "tokenizer.json").read_text("utf-8"))
    (path / "tokenizer.json").write_text(
        json.dumps(saved, ensure_ascii=False, separators=(",", ":")) + "\n", "utf-8")
    tasks = {}
    for file in sorted((shared / "tasks").glob("*/*.tsv")):
        texts = [t for line in file.read_text("utf-8").rstrip("\n").split("\n")
                 for t in line.split("\t")[:-1]]
        tasks[f"{file.parent.name}/{file.name}"] = digest(tokenizer, texts, False)
    samples = lines("sms-spam/dev.tsv", 20) + random_texts(7, 20)
    whole = [tokenizer(samples[i], samples[-1 - i]) for i in range(20)]
    oracle[name] = {
        "random": blocks(tokenizer, random_texts(8, 10_000), 500, False), "tasks": tasks,
        "pairs": [{
            "first": samples[i], "second": samples[-1 - i], "ids": pair["input_ids"],
            "types": pair.get("token_type_ids", [0] * len(pair["input_ids"]))}
            for i, pair in enumerate(whole)]}
with open(folder / "oracle.json", "w") as out:
    json.dump(oracle, out, separators=(",", ":"))
    out.write("\n")
