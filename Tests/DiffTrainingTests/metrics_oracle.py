"""Writes Resources/metrics.json: scikit-learn's and SciPy's scores of small predictions.

    metrics_oracle.py Resources/metrics.json

The metrics of answers are implemented here as SQuAD defines them. Needs scikit-learn and
scipy; written with the versions that the file names.
"""

import collections
import json
import re
import string
import sys

import scipy
import sklearn
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

from random_texts import SplitMix64

random = SplitMix64(11)
classes, numbers, answers = [], [], []
for count, labels in [(1, 2), (7, 2), (50, 2), (200, 2), (60, 3), (300, 5), (9, 9), (40, 2)]:
    truths = [random.next() % labels for _ in range(count)]
    predictions = [t if random.next() % 3 else random.next() % labels for t in truths]
    if count == 40:
        predictions = [1] * count
    classes.append({
        "classes": labels, "truths": truths, "predictions": predictions,
        "accuracy": accuracy_score(truths, predictions),
        "f1": f1_score(truths, predictions, pos_label=1, average="binary", zero_division=0)
        if labels == 2 and set(truths + predictions) <= {0, 1} and 1 in truths + predictions
        else 0,
        "macro": f1_score(truths, predictions, average="macro", zero_division=0),
        "matthews": matthews_corrcoef(truths, predictions)})
for count, steps in [(2, 1000), (10, 4), (100, 7), (100, 10**6), (500, 50)]:
    x = [random.next() % steps / steps * 4 - 1 for _ in range(count)]
    y = [round(a + random.next() % steps / steps * 3, 2) for a in x]
    if len(set(x)) < 2 or len(set(y)) < 2:
        raise SystemExit("constant")
    numbers.append({"x": x, "y": y, "pearson": pearsonr(x, y)[0], "spearman": spearmanr(x, y)[0]})


def normalized(text):
    text = "".join(c for c in text.lower() if c not in set(string.punctuation))
    return re.sub(r"\b(a|an|the)\b", " ", text).split()


def f1(prediction, truth):
    prediction, truth = normalized(prediction), normalized(truth)
    if not prediction or not truth:
        return float(prediction == truth)
    common = sum((collections.Counter(prediction) & collections.Counter(truth)).values())
    if common == 0:
        return 0.0
    precision, recall = common / len(prediction), common / len(truth)
    return 2 * precision * recall / (precision + recall)


for prediction, truths in [
        ("the Broncos", ["Denver Broncos", "Broncos"]), ("", []), ("nothing", []), ("", ["one"]),
        ("A.", ["the"]), ("an apple, a day!", ["apple day", "The apple"]), ("in the 1990s", ["1990s"]),
        ("Santa Clara, California", ["Santa Clara", "Levi's Stadium"]), ("a-b", ["ab"]),
        ("theater", ["the ater"]), ("naïve a\u0301 X", ["naïve X", "á"]), ("x\u00a0y\u2003z", ["x y z"]),
        ("to be or to be", ["be to be"]), ("$5 million", ["5 million dollars"]), ("a_b the_c", ["ab thec"]),
        ("the\u3000the cat", ["CAT"]), ("ΑΣ", ["ας"]), ("x\x1cy", ["x y"]), ("²a", ["² a"]), ("e a\u200bb", ["e b"])]:
    known = truths or [""]
    answers.append({
        "prediction": prediction, "truths": truths,
        "exact": max(float(normalized(prediction) == normalized(t)) for t in known),
        "f1": max(f1(prediction, t) for t in known)})
with open(sys.argv[1], "w") as out:
    json.dump({"versions": [sklearn.__version__, scipy.__version__], "classes": classes,
               "numbers": numbers, "answers": answers}, out, separators=(",", ":"))
    out.write("\n")
