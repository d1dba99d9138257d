"""Files are the program's work: it is run with ``--json``, its answer becomes objects, its trouble
exceptions, and the lines of its progress calls."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path as FilePath
from typing import Any, Mapping, Sequence, TypeVar, Union, get_args, get_origin, get_type_hints

from ._interruption import Interruption
from ._typing import Path, Progress
from .errors import DiffkitError, UsageError, error_of

Result = TypeVar("Result")


def program_path() -> str:
    """Where the program `diffkit` is: in the package, or where ``DIFFKIT_PROGRAM`` says, or else
    on the PATH."""
    named = os.environ.get("DIFFKIT_PROGRAM")
    if named:
        return named
    inside = FilePath(__file__).parent / "bin" / "diffkit"
    if inside.exists():
        return str(inside)
    found = shutil.which("diffkit")
    if found is None:
        raise ImportError(
            f"{inside} is missing: install the wheel, or name the program in DIFFKIT_PROGRAM"
        )
    return found


def main() -> None:
    """The console script: becomes the program."""
    program = program_path()
    os.execve(program, ["diffkit", *sys.argv[1:]], _environment(program))


def _environment(program: str) -> dict[str, str]:
    """What a program sees: also where it is, for the loader, which without /proc cannot tell."""
    return {"LD_ORIGIN_PATH": os.path.dirname(program), **os.environ}


def run(command: str, *arguments: str, progress: Progress | None = None) -> dict[str, Any]:
    """Runs a command of the program; returns the object that it prints.

    On `KeyboardInterrupt`, and on what `progress` raises, the program is ended too, and leaves no
    output behind unless it was complete already.

    Raises:
        DiffkitError: if it ends in trouble, of the class of its error's code.
    """
    program = program_path()
    environment = _environment(program)
    if progress is not None:
        environment["DIFFKIT_PROGRESS"] = "lines"
    process: subprocess.Popen[bytes] | None = None
    errors = b""
    # A file takes the answer, so that this thread can wait for lines of progress.
    with tempfile.TemporaryFile() as answers:
        try:
            with Interruption():  # No program without somebody who ends it.
                process = subprocess.Popen(
                    [program, command, *arguments, "--json"],
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=answers,
                    stderr=subprocess.PIPE,
                )
            assert process.stderr is not None
            with process.stderr as lines:
                for line in lines:
                    if not line.startswith(b"progress: "):
                        errors += line
                    elif progress is not None:
                        phase, done, total = line.decode().split(" ", 1)[1].rsplit(" ", 2)
                        progress(phase, int(done), int(total))
            process.wait()
        except BaseException:
            if process is not None:
                # Not SIGINT, which jobs in the background of a shell ignore.
                process.terminate()
                process.wait()
            raise
        answers.seek(0)
        output = answers.read()
    try:
        answer = json.loads(output) if output.strip() else {}
    except ValueError:
        answer = {}
    if "error" in answer:
        raise error_of(answer["error"])
    if process.returncode not in (0, 1) or not answer:
        said = errors.decode(errors="replace").strip().splitlines()
        message = said[0].removeprefix("diffkit: ").removeprefix("Error: ") if said else ""
        code = "usage" if process.returncode in (2, 64) else "crashed"
        raise error_of(
            {"code": code, "message": message or f"diffkit ended with {process.returncode}"}
        )
    return dict(answer)


# MARK: Objects


def _snake(name: str) -> str:
    return "".join("_" + letter.lower() if letter.isupper() else letter for letter in name)


def decode(kind: type[Result], answer: Mapping[str, Any]) -> Result:
    """A dataclass of a JSON object. Members that the class does not know are left out: a later
    program may have more."""
    members = {_snake(name): value for name, value in answer.items()}
    hints = get_type_hints(kind)
    known: dict[str, Any] = {}
    for item in fields(kind):  # type: ignore[arg-type]
        if item.name in members:
            known[item.name] = _value(hints[item.name], members[item.name])
        elif item.default is MISSING and item.default_factory is MISSING:
            raise DiffkitError(f"the program's answer lacks '{item.name}'", code="crashed")
    return kind(**known)


def _value(hint: Any, value: Any) -> Any:
    if value is None:
        return None
    if get_origin(hint) is Union or type(hint).__name__ == "UnionType":
        hint = next(option for option in get_args(hint) if option is not type(None))
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is list:
        return [_value(arguments[0], item) for item in value]
    if origin is dict:
        return {name: _value(arguments[1], item) for name, item in value.items()}
    if hasattr(hint, "__dataclass_fields__"):
        return decode(hint, value)
    # Numbers that JSON lacks come as "NaN" and "Infinity".
    return float(value) if hint is float else value


@dataclass(frozen=True)
class Skipped:
    """What a file holds and an operation leaves out."""

    name: str
    reason: str


@dataclass(frozen=True)
class Alike:
    """A tensor of the base and one of the tuned checkpoint that may be one."""

    base: str
    tuned: str


@dataclass(frozen=True)
class CreatedFile:
    """What `create` made of two checkpoints."""

    output: str
    size: int
    changes: int
    elements: int
    changed_tensors: int
    tensors: int
    reshaped: list[str]
    deleted: list[str]
    inserted: list[str]
    alike: list[Alike]
    not_compared: list[Skipped]
    left_out: list[str]
    #: Attributes that the diff takes along.
    attributes: list[str] = field(default_factory=list)
    #: What differs beside tensors and is not in the diff.
    not_carried: list[Skipped] = field(default_factory=list)
    #: Elements that become infinite, since stored values are rounded.
    infinite: int = 0
    #: Changes that are left out, since stored values are rounded to zero.
    rounded: int = 0
    #: Rules of the map of names that no name matches.
    vain_rules: list[str] = field(default_factory=list)
    #: The fingerprints of the whole base, and of what the diff makes of it.
    base: str | None = None
    result: str | None = None


@dataclass(frozen=True)
class Applied:
    """What `apply` or `revert` did. outcome: ``"written"``, ``"patched"`` (in place),
    ``"replaced"``, ``"already-applied"`` or ``"already-reverted"``."""

    source: str
    outcome: str
    tensors: int
    output: str | None = None
    #: Elements that additions made infinite.
    infinite: int = 0
    #: What stays as it was in the base and may not fit the result, and rules of the map of names
    #: that no name matches.
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Verified:
    """What `verify` found. state: of the checkpoint, ``"base"``, ``"applied"``,
    ``"partly-applied"`` or ``"different"``."""

    path: str
    identity: str
    entries: int
    pages: int
    values: int
    #: The first ten tensors that are neither at the base nor at the result.
    differing: list[str]
    differing_count: int
    #: Rules of the map of names that no name matches.
    vain_rules: list[str]
    checkpoint: str | None = None
    state: str | None = None
    #: The fingerprints of the whole base and result, as the diff says.
    base: str | None = None
    result: str | None = None


@dataclass(frozen=True)
class InspectedEntry:
    """A tensor of an inspected diff."""

    name: str
    operation: str
    type: str
    shape: list[int]
    changes: int
    stored_bytes: int
    pages: int
    encodings: list[str]
    new_shape: list[int] | None = None
    value_type: str | None = None
    scale: int | None = None
    base: str | None = None
    result: str | None = None


@dataclass(frozen=True)
class Extension:
    """What a diff holds beside changes (spec/FORMAT.md, 4.7)."""

    identifier: int
    bytes: int


@dataclass(frozen=True)
class InspectedDiff:
    """What `inspect` found in a diff."""

    path: str
    version: str
    identity: str
    size: int
    index_size: int
    changes: int
    metadata: dict[str, str]
    tensors: list[InspectedEntry]
    extensions: list[Extension] = field(default_factory=list)
    #: The fingerprints of the whole base and result.
    base: str | None = None
    result: str | None = None


@dataclass(frozen=True)
class InspectedTensor:
    """A tensor of an inspected checkpoint."""

    name: str
    type: str
    shape: list[int]
    bytes: int
    layout: str
    big_endian: bool
    aliases: list[str]
    label: str | None = None
    fingerprint: str | None = None
    #: With `hash`: why the tensor cannot be read.
    trouble: str | None = None


@dataclass(frozen=True)
class InspectedCheckpoint:
    """What `inspect` found in a checkpoint."""

    path: str
    format: str
    files: list[str]
    size: int
    elements: int
    tensors: list[InspectedTensor]
    skipped: list[Skipped]
    #: Tensors of which not even type and shape can be read.
    damaged: list[Skipped] = field(default_factory=list)
    #: With `hash`: of the whole checkpoint.
    fingerprint: str | None = None


@dataclass(frozen=True)
class ValueFigures:
    """The values of additions."""

    negative: int
    zero: int
    smallest: float
    largest: float
    mean: float
    l1: float
    l2: float
    binades: dict[str, int]


@dataclass(frozen=True)
class Figures:
    """How many changes, and what they take."""

    elements: int
    changes: int
    density: float
    bits_per_position: float
    bound_per_position: float
    bytes_per_change: float
    values: ValueFigures | None = None


@dataclass(frozen=True)
class TensorFigures:
    """The figures of one tensor."""

    name: str
    operation: str
    figures: Figures


@dataclass(frozen=True)
class DiffFigures:
    """The figures of one diff."""

    path: str
    size: int
    whole_tensor_bytes: int
    sparse: Figures
    tensors: list[TensorFigures]
    model_density: float | None = None


@dataclass(frozen=True)
class Storage:
    """Bytes of a base and its diffs, and of as many whole models."""

    base: int
    diffs: int
    copies: int
    tasks: int
    ratio: float
    saving: float


@dataclass(frozen=True)
class Stats:
    """What `stats` measured."""

    diffs: list[DiffFigures]
    storage: Storage | None = None


@dataclass(frozen=True)
class TensorValues:
    """The values of a float tensor; of the finite ones, but for their counts."""

    elements: int
    zero: int
    non_finite: int
    mean: float
    deviation: float
    l2: float
    least: float | None = None
    greatest: float | None = None


@dataclass(frozen=True)
class MeasuredTensor:
    """A tensor of a measured checkpoint."""

    name: str
    type: str
    shape: list[int]
    values: TensorValues | None = None


@dataclass(frozen=True)
class CheckpointStats:
    """What `stats` measured in a checkpoint."""

    path: str
    tensors: list[MeasuredTensor]


@dataclass(frozen=True)
class Pair:
    """How two diffs relate."""

    shared: int
    jaccard: float
    cosine: float | None = None
    sign_agreement: float | None = None
    norm_ratio: float | None = None


@dataclass(frozen=True)
class ComparedDiff:
    """One of several diffs, beside the first."""

    path: str
    changes: int
    differing: int
    same: bool
    norm: float | None = None


@dataclass(frozen=True)
class ComparedTensor:
    """A tensor of several diffs."""

    name: str
    elements: int
    differing: int
    changes: list[int]
    figures: Pair


@dataclass(frozen=True)
class Note:
    """What cannot be compared, and why."""

    path: str
    tensor: str
    what: str


@dataclass(frozen=True)
class DiffComparison:
    """How diffs relate: `matrix[i][j]` is of the diffs i and j."""

    same: bool
    diffs: list[ComparedDiff]
    matrix: list[list[Pair]]
    tensors: list[ComparedTensor]
    notes: list[Note]
    #: Rules of the map of names that no name matches.
    vain_rules: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class DifferingTensor:
    """A tensor that differs between two checkpoints."""

    name: str
    other_name: str
    type: str
    other_type: str
    shape: list[int]
    other_shape: list[int]
    elements: int
    differing: int | None = None
    largest: float | None = None


@dataclass(frozen=True)
class ComparedObject:
    """What is no tensor in two checkpoints. state: ``"equal"``, ``"different"``,
    ``"only-in-first"``, ``"only-in-second"`` or ``"not-compared"``."""

    name: str
    kind: str
    state: str
    attribute: str | None = None


@dataclass(frozen=True)
class CheckpointComparison:
    """How two checkpoints relate."""

    same: bool
    paths: list[str]
    tensors: list[DifferingTensor]
    only_in_first: list[str]
    only_in_second: list[str]
    #: What is no tensor: objects, attributes, metadata, other files of a folder.
    others: list[ComparedObject] = field(default_factory=list)
    #: Whether the tensors are the same, whatever else differs.
    same_tensors: bool | None = None
    #: Whether nothing but tensors was compared.
    tensors_alone: bool | None = None
    #: Rules of the map of names that no name matches.
    vain_rules: list[str] = field(default_factory=list)
    #: Of the whole checkpoints.
    fingerprint: str | None = None
    other_fingerprint: str | None = None


@dataclass(frozen=True)
class MergedTensor:
    """A tensor of a merged diff."""

    name: str
    diffs: int
    elements: int
    read: int
    changes: int
    shared: int
    opposite: int


@dataclass(frozen=True)
class Merged:
    """What `merge` made: of `read` changes, `shared` positions are those of several diffs,
    `opposite` those that some raise and others lower."""

    output: str
    method: str
    size: int
    diffs: int
    elements: int
    read: int
    changes: int
    shared: int
    opposite: int
    #: Changes that are more than the tensor's type holds: such elements become infinite.
    beyond_range: int
    #: Changes that the type of the values rounds to zero, left out.
    rounded: int
    #: Positions whose changes cancel, left out.
    cancelled: int
    #: Positions where the weights of what was elected cancel, so that nothing was divided.
    undivided: int
    tensors: list[MergedTensor]
    whole: list[str]
    dropped_heads: list[str]
    #: Tensors whose number of rows the diffs change.
    grown: list[str]
    notes: list[str]
    #: Attributes that go with tensors and are not in the diff.
    attributes_left_out: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Overlap:
    """What two diffs have in common in a tensor; without a tensor, in all together."""

    first: str
    second: str
    shared: int
    opposite: int
    #: The share of the norm of both that opposite changes have.
    opposite_norm: float
    tensor: str | None = None


@dataclass(frozen=True)
class MergePreview:
    """What a merge would make: see `Merged`."""

    method: str
    size: int
    changes: int
    elements: int
    #: Changes over elements of the tensors that change.
    density: float
    shared: int
    opposite: int
    beyond_range: int
    rounded: int
    cancelled: int
    pairs: list[Overlap]
    #: Whole tensors that differ.
    clashing_heads: list[str]
    #: Whether there are opposite changes or clashing heads.
    conflicts: bool
    #: What may not be as it was meant.
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Composed:
    """What `compose` made."""

    output: str
    size: int
    changes: int
    tensors: int
    diffs: int
    unchanged: list[str]
    #: Of a dry run: changes over elements of the tensors that change.
    density: float | None = None
    #: Attributes that go with tensors and are not in the diff.
    attributes_left_out: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Pruned:
    """What `prune` kept: `norm_share` of the norm."""

    output: str
    size: int
    changes: int
    kept: int
    tensors: int
    norm_share: float


@dataclass(frozen=True)
class Converted:
    """What `convert` wrote; of a diff `heads`, `changes` and `rounded` values, of a checkpoint
    `bytes`, tensors `converted` to another type, their elements that became `infinite`, and what
    was `skipped`."""

    output: str
    format: str
    tensors: int
    heads: int | None = None
    changes: int | None = None
    rounded: int | None = None
    bytes: int | None = None
    converted: int | None = None
    infinite: int | None = None
    skipped: list[Skipped] = field(default_factory=list)
    #: Rules of the map of names that no name matches.
    vain_rules: list[str] = field(default_factory=list)


# MARK: Commands

#: A number for each diff, or by pattern of tensors' names one for each or one for all; or texts as
#: the program takes them, ``"0.3,0.7"`` and ``"encoder.*=0.5"``.
Numbers = Union[Sequence[float], Mapping[str, Union[float, Sequence[float]]], str, Sequence[str]]


#: Flags whose opposite is not that they are left out: a default depends on something else.
_INVERTED = ("normalize",)


def _options(**options: Any) -> list[str]:
    """Options of the program: True is a flag, False none or its opposite, None none; a list is
    repeated."""
    made: list[str] = []
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        if value is True:
            made.append(flag)
        elif value is False and name in _INVERTED:
            made.append("--no-" + name)
        elif value is None or value is False:
            continue
        elif isinstance(value, (list, tuple)):
            for item in value:
                made += [flag, str(item)]
        else:
            made += [flag, os.fspath(value) if hasattr(value, "__fspath__") else str(value)]
    return made


def _paths(*paths: Path) -> list[str]:
    """Paths that are not taken for options, or for standard input."""
    texts = [os.fspath(path) for path in paths]
    return ["./" + text if text.startswith("-") else text for text in texts]


def _facts(metadata: Mapping[str, str] | None) -> list[str]:
    """Metadata as the program takes it."""
    for key in metadata or {}:
        if "=" in key:
            raise UsageError(f"a key of metadata between files has no '=': {key!r}")
    return [f"{key}={value}" for key, value in (metadata or {}).items()]


def create(
    base: Path, tuned: Path, path: Path, *, overwrite: bool = False, metadata: Mapping[str, str],
    map: Path | None = None, progress: Progress | None = None, **options: Any,
) -> CreatedFile:  # fmt: skip
    """See `diffkit.create`."""
    made = _options(
        output=_paths(path)[0], force=overwrite, meta=_facts(metadata), map=map, **options
    )
    return decode(CreatedFile, run("create", *_paths(base, tuned), *made, progress=progress))


def apply(
    base: Path,
    *diffs: Path,
    output: Path | None = None,
    overwrite: bool = False,
    in_place: bool = False,
    undo: Path | None = None,
    allow_other_base: bool = False,
    verify: str = "full",
    map: Path | None = None,
    progress: Progress | None = None,
) -> Applied:
    """Writes the checkpoint that a base and one or more diffs make.

    Exact diffs are applied one after the other, additive ones on one base are summed.

    Args:
        base: an HDF5 or safetensors file, or a folder of shards.
        diffs: files.
        output: the file or folder to write; by default beside the base.
        overwrite: whether an existing output is replaced.
        in_place: change the base itself, behind a journal (`recover`).
        undo: where to write the exact inverse, as a diff.
        allow_other_base: apply additive diffs to another base than theirs.
        verify: ``"full"`` or ``"touched"``.
        map: a file that says what tensors are called in the checkpoint.
        progress: called with the phase and how many of how many bytes are done, ten times a second
            at most and at the end, on the thread that called; what it raises ends the work.

    Raises:
        WrongBase, PartlyApplied, Damaged, OutputExists, FileError, …: with the tensor's name.
    """
    options = _options(
        output=output and _paths(output)[0], force=overwrite, in_place=in_place, undo=undo,
        allow_other_base=allow_other_base, verify=verify, map=map,
    )  # fmt: skip
    return decode(Applied, run("apply", *_paths(base, *diffs), *options, progress=progress))


def revert(
    tuned: Path,
    *diffs: Path,
    output: Path | None = None,
    overwrite: bool = False,
    in_place: bool = False,
    verify: str = "full",
    map: Path | None = None,
    progress: Progress | None = None,
) -> Applied:
    """Writes the base of a tuned checkpoint, out of the same exact diffs; see `apply`."""
    options = _options(
        output=output and _paths(output)[0], force=overwrite, in_place=in_place, verify=verify,
        map=map,
    )  # fmt: skip
    return decode(Applied, run("revert", *_paths(tuned, *diffs), *options, progress=progress))


def verify(
    diff: Path, checkpoint: Path | None = None, *, map: Path | None = None,
    progress: Progress | None = None,
) -> Verified:  # fmt: skip
    """Checks every byte of a diff, and what a checkpoint is to it.

    Raises:
        Damaged: if the diff is.
    """
    paths = _paths(diff) if checkpoint is None else _paths(diff, checkpoint)
    return decode(Verified, run("verify", *paths, *_options(map=map), progress=progress))


def inspect(file: Path, *, hash: bool = False) -> InspectedDiff | InspectedCheckpoint:
    """What a diff or a checkpoint is; with `hash`, a checkpoint's fingerprints too."""
    answer = run("inspect", *_paths(file), *_options(hash=hash))
    if "identity" in answer:
        return decode(InspectedDiff, answer)
    return decode(InspectedCheckpoint, answer)


def stats(*files: Path, progress: Progress | None = None) -> Stats | CheckpointStats:
    """Density, values, bits of diffs, and storage beside their base if that is the first file; or
    the values of a checkpoint alone, of which `progress` is told."""
    answer = run("stats", *_paths(*files), progress=progress)
    if "diffs" in answer:
        return decode(Stats, answer)
    return decode(CheckpointStats, answer)


def compare(
    *files: Path, base: Path | None = None, atol: float | None = None, rtol: float | None = None,
    map: Path | None = None, progress: Progress | None = None,
) -> DiffComparison | CheckpointComparison:  # fmt: skip
    """How two or more diffs relate, or two checkpoints.

    Args:
        base: of exact diffs, so that their deltas are known.
        atol, rtol: values are equal if ``|a - b| <= atol + rtol * |b|``.
        progress: as of `apply`; of checkpoints alone.
    """
    options = _options(base=base, atol=atol, rtol=rtol, map=map)
    answer = run("compare", *_paths(*files), *options, progress=progress)
    if "diffs" in answer:
        return decode(DiffComparison, answer)
    return decode(CheckpointComparison, answer)


def merge(
    *diffs: Path, output: Path | None = None, overwrite: bool = False, method: str | None = None,
    weights: Numbers | None = None, scale: float | None = None, density: float | None = None,
    densities: Numbers | None = None, normalize: bool | None = None, dry_run: bool = False,
    metadata: Mapping[str, str] | None = None, progress: Progress | None = None, **options: Any,
) -> Merged | MergePreview:  # fmt: skip
    """Combines additive diffs of one base into one.

    Args:
        diffs: two or more; or one recipe in mergekit's vocabulary (.yml, .yaml, .json).
        output: the diff to write; without one, only with `dry_run`.
        method: ``"sum"`` (the default), ``"average"``, ``"ties"``, ``"dare-linear"``, …
            (README.md).
        weights: one for each diff; or a dict of patterns of tensors' names (``*``, ``?``, ``0-5``),
            of which the first that matches applies: ``{"encoder.*": [0.3, 0.7], "head.*": 1}``.
        scale: multiplies the result.
        density: the share of each diff that the method keeps.
        densities: one for each diff, in the form of `weights`.
        normalize: whether to divide by the sum of the weights; by default the method's choice.
        dry_run: write nothing, but say what would be.
        metadata: texts to store.
        options: as the program's options of that name, with ``_`` for ``-``: ``seed=7``,
            ``density_of="nonzeros"``.

    Returns:
        `Merged`, or with `dry_run` `MergePreview`.

    Raises:
        UsageError: if an option is unknown, out of range, or not for this method.
    """
    if "show" in options:
        raise UsageError("'show' prints a recipe; the diff's metadata has it")
    if output is None and not dry_run:
        raise UsageError("a merge needs an output")
    made = _options(
        output=output and _paths(output)[0], force=overwrite, method=method,
        weights=_numbers(weights), scale=scale, density=density, densities=_numbers(densities),
        normalize=normalize, dry_run=dry_run,
        meta=[*_facts(metadata), *options.pop("meta", [])], **options,
    )  # fmt: skip
    answer = run("merge", *_paths(*diffs), *made, progress=progress)
    return decode(MergePreview, answer) if dry_run else decode(Merged, answer)


def _numbers(values: Numbers | None) -> list[str]:
    """Numbers as an option of the program takes them: one list, or one for each pattern."""
    if values is None:
        return []
    if isinstance(values, Mapping):
        return [f"{pattern}={_joined(numbers)}" for pattern, numbers in values.items()]
    if isinstance(values, str):
        return [values]
    if any(isinstance(value, str) for value in values):
        return [str(value) for value in values]
    return [_joined(values)]


def _joined(numbers: Any) -> str:
    several = numbers if hasattr(numbers, "__iter__") else [numbers]
    return ",".join(repr(float(number)) for number in several)


def compose(
    *diffs: Path, output: Path, overwrite: bool = False, base: Path | None = None,
    progress: Progress | None = None,
) -> Composed:  # fmt: skip
    """Makes one exact diff that does what several do in order; with a base, `progress` is told."""
    options = _options(output=_paths(output)[0], force=overwrite, base=base)
    return decode(Composed, run("compose", *_paths(*diffs), *options, progress=progress))


def prune(
    diff: Path, *, output: Path, overwrite: bool = False, density: float | None = None,
    threshold: float | None = None, per_tensor: bool = False,
) -> Pruned:  # fmt: skip
    """Keeps only the largest changes of an additive diff."""
    options = _options(
        output=_paths(output)[0], force=overwrite, density=density, threshold=threshold,
        per_tensor=per_tensor,
    )  # fmt: skip
    return decode(Pruned, run("prune", *_paths(diff), *options))


def convert(
    input: Path, output: Path, *, overwrite: bool = False, base: Path | None = None,
    to: str | None = None, from_: str | None = None, values: str | None = None,
    type: str | None = None, map: Path | None = None, progress: Progress | None = None,
) -> Converted:  # fmt: skip
    """Writes a checkpoint, or a diff, in another format; `type` (``"f16"``, ``"bf16"`` or
    ``"f32"``) rounds the float tensors of a checkpoint. See `diffkit convert --help`."""
    options = [
        *_options(force=overwrite, base=base, to=to, values=values, type=type, map=map),
        *(["--from", from_] if from_ else []),
    ]
    return decode(Converted, run("convert", *_paths(input, output), *options, progress=progress))
