"""Whether every module of the package that a target imports is one that it declares: SwiftPM's own check
lets through what a dependency declares.

    swift package describe --type json | imports.py    prints what is missing, exits with 1 if so
"""

import json
import pathlib
import re
import sys

# What a build with default traits leaves out: its modules are not declared then.
LEFT_OUT = re.compile(r"^#if Distributed$.*?^#(?:else|endif)$", re.M | re.S)
IMPORT = re.compile(r"^(?:@\w+(?:\(\w+\))? |public |package |internal )*import (?:\w+ )?(\w+)", re.M)
targets = json.load(sys.stdin)["targets"]
names = {target["c99name"]: target["name"] for target in targets}
faults = []
for target in targets:
    declared = set(target.get("target_dependencies", [])) | {target["name"]}
    for source in target.get("sources", []):
        path = pathlib.Path(target["path"]) / source
        if path.suffix != ".swift":
            continue
        for module in IMPORT.findall(LEFT_OUT.sub("", path.read_text("utf-8"))):
            if module in names and names[module] not in declared:
                faults.append(f"{path}: imports {module}, which {target['name']} does not declare")
print("\n".join(sorted(set(faults))) or f"{len(targets)} targets declare what they import")
sys.exit(bool(faults))
