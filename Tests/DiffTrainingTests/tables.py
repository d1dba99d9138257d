"""Writes Resources/tables: one table of texts as pandas, Python's csv and JSON write it, files that
are not tables, and rows.json, their contents.

    tables.py Resources/tables

Needs pandas, openpyxl and pyarrow; written with pandas 3, Python 3.11.
"""

import csv
import gzip
import json
import pathlib
import sys

import pandas

folder = pathlib.Path(sys.argv[1])
folder.mkdir(exist_ok=True)
texts = [
    ("Das Essen war köstlich, wirklich!", "gut"),
    ('Er sagte: "Nie wieder"', "schlecht"),
    ("Zwei Zeilen:\nund ein Tab\tdazwischen", "gut"),
    ("Größe; Maß, Straße", "mittel"),
    ('"ganz in Anführungszeichen"', "schlecht"),
    ("schlicht", "mittel"),
    ("日本語、🙂 emoji", "gut"),
    ("\"a\" und \"\"b\"\"", "schlecht"),
]
table = pandas.DataFrame({
    "nummer": range(1001, 1001 + len(texts)),
    "bewertung": [text for text, _ in texts],
    "laden": [f"Laden {i % 3}" for i in range(len(texts))],
    "urteil": [label for _, label in texts],
})
table.to_csv(folder / "pandas.csv", index=False)
table.to_csv(folder / "pandas-index.csv")
table.to_csv(folder / "pandas.tsv", sep="\t", index=False)
table.to_csv(folder / "pandas-all.tsv", sep="\t", index=False, quoting=csv.QUOTE_ALL)
table.to_csv(folder / "pandas-nonnumeric.csv", index=False, quoting=csv.QUOTE_NONNUMERIC)
table.to_csv(folder / "german.csv", sep=";", index=False, encoding="utf-8-sig", lineterminator="\r\n")
table.to_json(folder / "pandas.jsonl", orient="records", lines=True)
table.to_json(folder / "datasets.jsonl", orient="records", lines=True, force_ascii=False)
for name, dialect in [("excel", "excel"), ("excel-tab", "excel-tab"), ("unix", "unix")]:
    suffix = "tsv" if "tab" in name else "csv"
    with open(folder / f"csv-{name}.{suffix}", "w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out, dialect)
        writer.writerow(table.columns)
        writer.writerows(table.itertuples(index=False))
table.to_csv(folder / "utf-16.csv", index=False, encoding="utf-16")
table.to_csv(folder / "latin-1.csv", index=False, encoding="latin-1", errors="replace")
table.to_parquet(folder / "table.parquet")
table.to_excel(folder / "table.xlsx", index=False)
with gzip.GzipFile(folder / "table.csv.gz", "wb", mtime=0) as out:
    out.write(table.to_csv(index=False).encode())
with open(folder / "rows.json", "w") as out:
    json.dump([list(row) for row in texts], out, ensure_ascii=False, indent=0)
    out.write("\n")
