"""The native part of the wheel: built by `swift build`, with libhdf5, libaec, zlib, zstd, libyaml and
xxHash linked in, and oneDNN beside it. Swift's runtime is inside of the library, since other libraries
of a process may have another one; the programs share one that is beside them, which is smaller.

What stays with the host is what manylinux leaves there: the C library, libstdc++ and libgcc_s.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]

#: Libraries that a host has (manylinux, PEP 600).
HOST = (
    "linux-vdso", "ld-linux-x86-64", "libc.so", "libm.so", "libdl.so", "librt.so", "libpthread.so",
    "libgcc_s.so", "libstdc++.so",
)  # fmt: skip
#: Static libraries by the pkg-config file that they take the place of.
STATIC = {
    "hdf5": ("hdf5", "sz", "aec"),
    "zlib": ("z",),
    "libzstd": ("zstd",),
    "libxxhash": ("xxhash",),
    "yaml-0.1": ("yaml",),
}
#: The Debian packages, whose `copyright` is the licence, of the libraries that are linked in, and
#: of those that are beside the programs.
LINKED = {
    "hdf5": "libhdf5-dev", "libaec": "libaec-dev", "zlib": "zlib1g-dev", "zstd": "libzstd-dev",
    "xxhash": "libxxhash-dev", "libyaml": "libyaml-dev",
}  # fmt: skip
BESIDE = {"libdnnl": "libdnnl2", "libOpenCL": "ocl-icd-libopencl1", "libgomp": "libgomp1"}


@dataclass
class Native:
    """Files by their paths in the package, and licences by the name of what they are of."""

    files: dict[str, Path]
    licences: dict[str, bytes]


def build(scratch: Path, training: bool) -> Native:
    """Builds the library and both programs.

    Args:
        scratch: a folder for what is made on the way; the files of the result are there.
        training: whether `diffkit` can train, which takes oneDNN.
    """
    folder = Path(os.environ.get("DIFFKIT_WHEEL_BUILD") or REPOSITORY / ".build-wheel")
    if not training:
        # Each has its own objects: with one folder, every change of mind would build everything.
        folder = folder.with_name(folder.name + "-small")
    environment = dict(os.environ, PKG_CONFIG_PATH=str(_static_libraries(folder)))
    old_libm = _object("old_libm.c", folder / "static")
    common = [
        "-c", "release", "-Xswiftc", "-Xfrontend", "-Xswiftc", "-function-sections",
        "-Xlinker", "--gc-sections", "-Xlinker", "--wrap=hypot", "-Xlinker", "--wrap=hypotf",
        "-Xlinker", str(old_libm),
        # Without the network: libcurl and what it needs would make the wheel a quarter larger.
        *(["--traits", "Training"] if training else ["--disable-default-traits"]),
    ]  # fmt: skip
    exports = Path(__file__).with_name("exports.map")
    static = ["-Xswiftc", "-static-stdlib", "-Xlinker", f"--version-script={exports}"]
    files: dict[str, Path] = {}
    for product, kind, name, flags in (
        ("DiffKit", "library", "lib/libDiffKit.so", static),
        ("diffkit", "programs", "bin/diffkit", []),
        ("diffkit-hdf5", "programs", "bin/diffkit-hdf5", []),
    ):
        command = ["swift", "build", "--product", product, "--scratch-path", str(folder / kind)]
        _run([*command, *common, *flags], environment)
        files[name] = scratch / Path(name).name
        shutil.copyfile(folder / kind / "release" / Path(name).name, files[name])
        files[name].chmod(0o755)
    grafted = _grafted([files["bin/diffkit"], files["bin/diffkit-hdf5"]], old_libm, scratch)
    files |= {f"lib/{name}": library for name, library in grafted.items()}
    for name, file in files.items():
        file.chmod(0o755)
        _run(["strip", "--strip-unneeded", str(file)])
        # DT_RPATH, which goes before what LD_LIBRARY_PATH names: another Swift, say.
        place = "$ORIGIN/../lib" if name.startswith("bin/") else "$ORIGIN"
        _run(["patchelf", "--force-rpath", "--set-rpath", place, str(file)])
    for name, file in files.items():
        foreign = [need for need in _needed(file) if not need.startswith(HOST)]
        missing = [need for need in foreign if need not in grafted]
        if missing:
            raise RuntimeError(f"{name} needs {', '.join(missing)}, which the wheel lacks")
    return Native(files, _licences(folder, grafted))


def _run(command: list[str], environment: dict[str, str] | None = None) -> str:
    """Runs a command in the repository; what it prints goes to standard error."""
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True
    )
    if done.returncode != 0:
        print(done.stdout)
        raise RuntimeError(f"{' '.join(command[:4])} … ended with {done.returncode}")
    return done.stdout


def _object(source: str, folder: Path) -> Path:
    """Compiles a file of C beside this one."""
    made = folder / source.replace(".c", ".o")
    flags = ["-O1", "-fPIC", "-Wall", "-Werror"]
    _run(["clang", *flags, "-c", str(Path(__file__).with_name(source)), "-o", str(made)])
    return made


def _static_libraries(folder: Path) -> Path:
    """A folder of pkg-config files that name static libraries.

    Debian's libhdf5 can read from S3, for which it drags in curl, TLS and Kerberos; diffkit
    registers no such driver, so a stand-in that always fails takes their place.
    """
    # In the build's folder: its path is part of the commands that say whether all is built.
    made = folder / "static"
    made.mkdir(parents=True, exist_ok=True)
    stand_in = made / "libno_network.a"
    stand_in.unlink(missing_ok=True)
    _run(["ar", "rcsD", str(stand_in), str(_object("no_network.c", made))])
    for package, libraries in STATIC.items():
        paths = _run(["pkg-config", "--libs-only-L", package]).split()
        for library in libraries:
            file = f"lib{library}.a"
            found = [Path(path[2:]) / file for path in paths]
            # Where the linker would look; a name alone if it is not there.
            found.append(Path(_run(["clang", f"-print-file-name={file}"]).strip()))
            archive = next((path for path in found if path.is_absolute() and path.exists()), None)
            if archive is None:
                raise RuntimeError(f"{file} is missing: install the -dev package")
            link = made / archive.name
            link.unlink(missing_ok=True)
            link.symlink_to(archive)
        names = [*libraries, *(["no_network", "z", "m", "dl"] if package == "hdf5" else [])]
        cflags = _run(["pkg-config", "--cflags", package]).strip()
        version = _run(["pkg-config", "--modversion", package]).strip()
        (made / f"{package}.pc").write_text(
            f"Name: {package}\nDescription: static\nVersion: {version}\nCflags: {cflags}\n"
            f"Libs: -L{made} {' '.join('-l' + name for name in names)}\n"
        )
    return made


def _needed(file: Path) -> list[str]:
    return _run(["patchelf", "--print-needed", str(file)]).split()


def _grafted(programs: list[Path], old_libm: Path, scratch: Path) -> dict[str, Path]:
    """Copies of the libraries that programs need and a host may lack, by name."""
    copies: dict[str, Path] = {}
    for program in programs:
        for line in _run(["ldd", str(program)]).splitlines():
            parts = line.split()
            if "=>" not in parts or parts[0].startswith(HOST) or parts[0] in copies:
                continue
            copies[parts[0]] = scratch / parts[0]
            shutil.copyfile(os.path.realpath(parts[2]), copies[parts[0]])
    overlay = copies.get("libswiftGlibc.so")
    if overlay is not None:
        _link_overlay(overlay, old_libm)
    return copies


def _link_overlay(library: Path, old_libm: Path) -> None:
    """Links Swift's module of the C library from its objects: that of the toolchain calls glibc
    2.35's hypot."""
    _run([
        "clang", "-shared", "-fuse-ld=lld", "-Wl,-soname,libswiftGlibc.so", "-Wl,--wrap=hypot",
        "-Wl,--wrap=hypotf", "-Wl,--whole-archive",
        str(_swift() / "lib/swift_static/linux/libswiftGlibc.a"), "-Wl,--no-whole-archive",
        str(_swift() / "lib/swift/linux/x86_64/swiftrt.o"), str(old_libm),
        f"-L{_swift() / 'lib/swift/linux'}", "-lswiftCore", "-lm", "-o", str(library),
    ])  # fmt: skip


def _swift() -> Path:
    """Where the toolchain is."""
    return Path(os.path.realpath(shutil.which("swift") or "swift")).parents[1]


def _licences(folder: Path, grafted: dict[str, Path]) -> dict[str, bytes]:
    """The licences of diffkit and of all that is in the wheel."""
    texts = {
        "diffkit.txt": REPOSITORY / "LICENSE",
        "swift.txt": _swift() / "share/swift/LICENSE.txt",
    }
    for checkout in sorted((folder / "programs/checkouts").iterdir()):
        (texts[f"{checkout.name}.txt"],) = checkout.glob("LICENSE*")
    present = {n: p for n, p in BESIDE.items() if any(lib.startswith(n) for lib in grafted)}
    for name, package in (LINKED | present).items():
        texts[f"{name}.txt"] = Path("/usr/share/doc") / package / "copyright"
    return {name: path.read_bytes() for name, path in texts.items()}
