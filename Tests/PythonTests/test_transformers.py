"""Folders as transformers saves them: trained on, applied to, and loaded again with equal logits."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

from diffkit._program import program_path  # noqa: E402
from conftest import REPOSITORY  # noqa: E402

VOCABULARY = REPOSITORY / "Tests/DiffTrainingTests/Resources/vocab.txt"
WORDS = ["red river", "old house", "big dog", "blue sea", "green road", "king cat"]


def run(*arguments: object) -> str:
    """The output of the program."""
    made = subprocess.run(
        [program_path(), *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    return made.stdout


def save_bert(folder: Path) -> None:
    """A model and its tokenizer, as `save_pretrained` of transformers 5 writes them."""
    torch.manual_seed(0)
    pieces = VOCABULARY.read_text("utf-8").rstrip("\n").split("\n")
    config = transformers.BertConfig(
        vocab_size=len(pieces), hidden_size=64, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=128, max_position_embeddings=96,
    )  # fmt: skip
    transformers.BertModel(config).save_pretrained(folder)
    transformers.BertTokenizer(vocab={p: i for i, p in enumerate(pieces)}).save_pretrained(folder)
    assert not (folder / "vocab.txt").exists()


def save_distilbert(folder: Path) -> None:
    """The same of a DistilBERT, whose tokenizer is that of BERT."""
    torch.manual_seed(0)
    pieces = VOCABULARY.read_text("utf-8").rstrip("\n").split("\n")
    config = transformers.DistilBertConfig(
        vocab_size=len(pieces), dim=64, n_layers=2, n_heads=4, hidden_dim=128,
        max_position_embeddings=96,
    )  # fmt: skip
    transformers.DistilBertModel(config).save_pretrained(folder)
    transformers.BertTokenizer(vocab={p: i for i, p in enumerate(pieces)}).save_pretrained(folder)


def save_roberta(folder: Path) -> None:
    """The same of a RoBERTa, with a byte-level BPE of a few merges."""
    torch.manual_seed(0)
    letters = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    pieces = ["<s>", "<pad>", "</s>", "<unk>", *letters, "th", "the", "Ġthe", "in", "re", "<mask>"]
    merges = [("t", "h"), ("th", "e"), ("Ġ", "the"), ("i", "n"), ("r", "e")]
    config = transformers.RobertaConfig(
        vocab_size=len(pieces), hidden_size=64, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=128, max_position_embeddings=200, type_vocab_size=1, pad_token_id=1,
        bos_token_id=0, eos_token_id=2,
    )  # fmt: skip
    transformers.RobertaModel(config).save_pretrained(folder)
    transformers.RobertaTokenizer(
        vocab={p: i for i, p in enumerate(pieces)}, merges=merges
    ).save_pretrained(folder)


FAMILIES = {"bert": save_bert, "distilbert": save_distilbert, "roberta": save_roberta}
TASKS: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "classification": (
        "AutoModelForSequenceClassification",
        [{"text": f"the {WORDS[i % 6]}", "label": "abc"[i % 3]} for i in range(24)],
    ),
    "pairs": (
        "AutoModelForSequenceClassification",
        [
            {"premise": f"the {WORDS[i % 6]}", "hypothesis": WORDS[i // 4], "label": "xy"[i % 2]}
            for i in range(24)
        ],
    ),
    "regression": (
        "AutoModelForSequenceClassification",
        [{"text": f"the {WORDS[i % 6]}", "label": i % 6 / 4} for i in range(24)],
    ),
}


@pytest.mark.parametrize("name", TASKS)
def test_logits_of_texts(tmp_path: Path, name: str) -> None:
    kind, rows = TASKS[name]
    save_bert(tmp_path / "base")
    (tmp_path / "rows.jsonl").write_text(
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8"
    )
    run(
        "train", tmp_path / "base", "--task", tmp_path / "rows.jsonl", "-o",
        tmp_path / "task.diff", "--method", "full", "--epochs", "3", "--lr", "1e-3", "-q",
    )  # fmt: skip
    run("apply", tmp_path / "base", tmp_path / "task.diff", "-o", tmp_path / "tuned")
    model, loaded = getattr(transformers, kind).from_pretrained(
        tmp_path / "tuned", output_loading_info=True
    )
    assert not any(loaded.values()), loaded
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "tuned")
    columns = [key for key in rows[0] if key != "label"]
    encoded = tokenizer(*([row[key] for row in rows] for key in columns), padding=True,
                        return_tensors="pt")  # fmt: skip
    with torch.no_grad():
        logits = model.eval()(**encoded).logits
    said = [
        json.loads(line)
        for line in run(
            "predict", tmp_path / "base", tmp_path / "task.diff", "--input",
            tmp_path / "rows.jsonl", "--format", "jsonl",
        ).splitlines()
    ]  # fmt: skip
    if name == "regression":
        ours = torch.tensor([[one["value"]] for one in said], dtype=torch.float64)
        assert torch.allclose(ours, logits.double(), atol=1e-5, rtol=0)
        assert model.config.num_labels == 1
        return
    labels = list(said[0]["probabilities"])
    assert [model.config.id2label[i] for i in range(len(labels))] == labels
    ours = torch.tensor(
        [[one["probabilities"][label] for label in labels] for one in said], dtype=torch.float64
    )
    assert torch.allclose(ours, logits.double().softmax(-1), atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", ["distilbert", "roberta"])
def test_head_of_another_kind(tmp_path: Path, family: str) -> None:
    """Where the library's head has a layer more, the labels are in config.json, and a note says so."""
    FAMILIES[family](tmp_path / "base")
    (tmp_path / "rows.tsv").write_text(
        "".join(f"the {WORDS[i % 6]}\t{'abc'[i % 3]}\n" for i in range(24)), "utf-8"
    )
    run(
        "train", tmp_path / "base", "--task", tmp_path / "rows.tsv", "-o", tmp_path / "task.diff",
        "--method", "full", "--epochs", "1", "-q",
    )  # fmt: skip
    said = run("apply", tmp_path / "base", tmp_path / "task.diff", "-o", tmp_path / "tuned")
    note = "note: the library's models of this type have a different head from this task's"
    assert note in said
    config = json.loads((tmp_path / "tuned/config.json").read_text("utf-8"))
    assert config["id2label"] == {"0": "a", "1": "b", "2": "c"} and config["num_labels"] == 3
    # What is below the head loads as it is.
    model, loaded = transformers.AutoModel.from_pretrained(
        tmp_path / "tuned", output_loading_info=True
    )
    assert not (loaded["missing_keys"] or loaded["mismatched_keys"]), loaded
    assert model.config.num_labels == 3


@pytest.mark.parametrize("family", FAMILIES)
def test_answers(tmp_path: Path, family: str) -> None:
    FAMILIES[family](tmp_path / "base")
    questions = REPOSITORY / "Tests/DiffTrainingTests/Resources/questions.json"
    run(
        "train", tmp_path / "base", "--task", questions, "-o", tmp_path / "task.diff", "--method",
        "full", "--epochs", "30", "--lr", "1e-3", "--no-dropout", "--max-length", "64", "-q",
    )  # fmt: skip
    run("apply", tmp_path / "base", tmp_path / "task.diff", "-o", tmp_path / "tuned")
    model, loaded = transformers.AutoModelForQuestionAnswering.from_pretrained(
        tmp_path / "tuned", output_loading_info=True
    )
    # The class has no pooler, the base may have one.
    assert set(loaded["unexpected_keys"]) <= {"pooler.dense.bias", "pooler.dense.weight"}
    assert not (loaded["missing_keys"] or loaded["mismatched_keys"]), loaded
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "tuned")
    asked = [
        (item["question"], paragraph["context"])
        for article in json.loads(questions.read_text("utf-8"))["data"]
        for paragraph in article["paragraphs"]
        for item in paragraph["qas"]
    ]
    lines = run(
        "predict", tmp_path / "base", tmp_path / "task.diff",
        *(f"{question}\t{context}" for question, context in asked), "--format", "jsonl",
    ).splitlines()  # fmt: skip
    for (question, context), line in zip(asked, lines, strict=True):
        answer = json.loads(line)["answer"]
        encoded = tokenizer(question, context, return_tensors="pt", return_offsets_mapping=True)
        offsets = encoded.pop("offset_mapping")[0].tolist()
        with torch.no_grad():
            out = model.eval()(**encoded)
        start, end = out.start_logits[0], out.end_logits[0]
        inside = [i for i, part in enumerate(encoded.sequence_ids(0)) if part == 1]
        score, first, last = max(
            (start[i].item() + end[j].item(), i, j) for i in inside for j in inside if i <= j
        )
        best = context[offsets[first][0] : offsets[last][1]]
        assert answer == (best if score > start[0].item() + end[0].item() else "")
