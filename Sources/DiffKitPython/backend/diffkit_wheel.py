"""Builds the wheel: the in-tree PEP 517 backend around `swift build`.

    pip wheel --no-deps Sources/DiffKitPython
    pip wheel --no-deps Sources/DiffKitPython --config-settings training=no

The wheel has the package, libDiffKit.so, the programs `diffkit` and `diffkit-hdf5`, what they need
beside the system's libraries, and the licences of all that. There is no sdist: the sources are the
repository.

Variables: DIFFKIT_WHEEL_BUILD names the folder of the build, by default `.build-wheel` in the
repository, which is kept for the next time.
"""

from __future__ import annotations

import base64
import hashlib
import re
import sys
import tempfile
import zipfile
from pathlib import Path

import native

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PACKAGE = Path(__file__).resolve().parents[1]
TAG = "py3-none-manylinux_2_34_x86_64"


def get_requires_for_build_wheel(config_settings: dict[str, str] | None = None) -> list[str]:
    return []


def build_sdist(sdist_directory: str, config_settings: dict[str, str] | None = None) -> str:
    raise RuntimeError("diffkit has no sdist: its sources are the repository")


def prepare_metadata_for_build_wheel(
    metadata_directory: str, config_settings: dict[str, str] | None = None
) -> str:
    """Writes what is known without a build; returns the folder's name."""
    version = _version()
    name = f"diffkit-{version}.dist-info"
    folder = Path(metadata_directory) / name
    folder.mkdir()
    for file, text in _information(version).items():
        (folder / file).write_text(text)
    return name


def build_wheel(
    wheel_directory: str,
    config_settings: dict[str, str] | None = None,
    metadata_directory: str | None = None,
) -> str:
    """Writes the wheel; returns its name."""
    training = (config_settings or {}).get("training", "yes") not in ("no", "0", "false")
    version = _version()
    wheel = Path(wheel_directory) / f"diffkit-{version}-{TAG}.whl"
    information = f"diffkit-{version}.dist-info"
    with tempfile.TemporaryDirectory() as scratch:
        made = native.build(Path(scratch), training=training)
        files: dict[str, tuple[bytes, int]] = {}
        for path in sorted((PACKAGE / "diffkit").rglob("*")):
            if path.is_file() and path.suffix in (".py", ".typed") or path.name == "py.typed":
                files[str(path.relative_to(PACKAGE))] = (path.read_bytes(), 0o644)
        for name, path in made.files.items():
            files[f"diffkit/{name}"] = (path.read_bytes(), 0o755)
        for name, text in made.licences.items():
            files[f"{information}/licenses/{name}"] = (text, 0o644)
        for name, words in _information(version).items():
            files[f"{information}/{name}"] = (words.encode(), 0o644)
        _write(wheel, files, f"{information}/RECORD")
    return wheel.name


def _write(wheel: Path, files: dict[str, tuple[bytes, int]], record: str) -> None:
    lines = []
    for name, (contents, _) in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(contents).digest()).rstrip(b"=").decode()
        lines.append(f"{name},sha256={digest},{len(contents)}")
    files[record] = ("\n".join([*lines, f"{record},,"]).encode() + b"\n", 0o644)
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, (contents, mode) in files.items():
            # A fixed time: equal files give equal wheels.
            item = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
            item.external_attr = (0o100000 | mode) << 16
            item.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(item, contents)


def _version() -> str:
    text = (native.REPOSITORY / "Sources/DiffOperations/DiffKitVersion.swift").read_text()
    found = re.search(r'current = "([^"]+)"', text)
    assert found is not None
    return found[1]


def _information(version: str) -> dict[str, str]:
    """The files of `dist-info` but the record and the licences."""
    wheel = ["Wheel-Version: 1.0", "Generator: diffkit", "Root-Is-Purelib: false", f"Tag: {TAG}"]
    return {
        "METADATA": _metadata(version),
        "WHEEL": "\n".join([*wheel, ""]),
        "entry_points.txt": _entry_points(),
    }


def _project() -> dict[str, object]:
    project: dict[str, object] = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]
    return project


def _metadata(version: str) -> str:
    project = _project()
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {project['name']}",
        f"Version: {version}",
        f"Summary: {project['description']}",
        f"License: {project['license']}",
        f"Requires-Python: {project['requires-python']}",
        *(f"Requires-Dist: {need}" for need in project["dependencies"]),  # type: ignore[attr-defined]
    ]
    for extra, needs in project["optional-dependencies"].items():  # type: ignore[attr-defined]
        lines.append(f"Provides-Extra: {extra}")
        lines += [f'Requires-Dist: {need}; extra == "{extra}"' for need in needs]
    lines += ["Description-Content-Type: text/markdown", "", (PACKAGE / "README.md").read_text()]
    return "\n".join(lines)


def _entry_points() -> str:
    scripts = _project()["scripts"]
    lines = [f"{name} = {target}" for name, target in scripts.items()]  # type: ignore[attr-defined]
    return "\n".join(["[console_scripts]", *lines, ""])
