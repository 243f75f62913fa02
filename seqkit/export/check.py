"""Judge a SavedModel by what TensorFlow's C++ runtime makes of it, in a clean process.

``tf.saved_model.load`` in Python is no proof: it finds variables that the C++ loader of a server does not.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from seqkit.errors import ModelFileError, SeqkitError
from seqkit.export import runtime, warmup
from seqkit.export.manifest import version_folders
from seqkit.export.safety import check_ops

# Ops that tie a model to the machine that wrote it: a GPU's kernels, a Python process.
_PYTHON_OPS = ("PyFunc", "PyFuncStateless", "EagerPyFunc")

Tensors = Mapping[str, object]


@dataclass
class SignatureCheck:
    """How one signature answered.

    Attributes
    ----------
    name : str
        Name of the signature.
    inputs, outputs : dict of str to runtime.TensorSpec
        What it takes and gives.
    source : str
        Where the requests came from: ``"given"``, ``"warm-up file"`` or ``"made up"``.
    seconds : list of float
        Time of each request; the first one holds TensorFlow's own warming up.
    compared : bool
        Whether there was an expected answer to each request.
    largest_difference : float
        Over all numbers compared.
    """

    name: str
    inputs: dict[str, runtime.TensorSpec]
    outputs: dict[str, runtime.TensorSpec]
    source: str = "made up"
    seconds: list[float] = field(default_factory=list)
    compared: bool = False
    largest_difference: float = 0.0


@dataclass
class CheckReport:
    """What the C++ runtime made of a SavedModel.

    Attributes
    ----------
    path : Path
        The folder checked.
    version : str
        Of the TensorFlow runtime.
    load_seconds : float
        Time to load the model.
    signatures : list of SignatureCheck
        One for each signature.
    ops : list of str
        All ops of the graph and its functions.
    non_core_ops : list of str
        Those that stock TensorFlow does not have: a server must link them. TensorFlow Serving links tensorflow-text's,
        and so does this check.
    problems : list of str
        Faults in order of appearance; empty if all is well.
    answers : dict of str to list of dict
        For each signature the answers to its requests.
    """

    path: Path
    version: str = ""
    load_seconds: float = 0.0
    signatures: list[SignatureCheck] = field(default_factory=list)
    ops: list[str] = field(default_factory=list)
    non_core_ops: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    answers: dict[str, list[dict[str, np.ndarray]]] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether the model loads, runs and answers as expected."""
        return not self.problems

    def to_text(self) -> str:
        """The report as lines for people."""
        lines = [str(self.path)]
        if self.load_seconds:
            lines.append(f"loaded in TensorFlow's C++ runtime {self.version} in {self.load_seconds:.2f} s")
        for signature in self.signatures:
            lines.append(f"signature {signature.name}")
            for side, specs in (("in ", signature.inputs), ("out", signature.outputs)):
                lines += [f"  {side} {name:<24} {describe(spec)}" for name, spec in specs.items()]
            if signature.seconds:
                count = len(signature.seconds)
                line = (
                    f"  {count} request{'s' * (count > 1)} ({signature.source}), {1000 * min(signature.seconds):.1f} ms"
                )
                if signature.compared:
                    line += f", compared; largest difference {signature.largest_difference:.1e}"
                lines.append(line)
        if self.ops:
            other = ", ".join(self.non_core_ops)
            if other and self.load_seconds:
                other += " (of tensorflow-text, which TensorFlow Serving links)"
            lines.append(
                f"{len(self.ops)} ops, " + (f"NOT in stock TensorFlow: {other}" if other else "all stock TensorFlow")
            )
        lines += [f"problem: {problem}" for problem in self.problems]
        return "\n".join([*lines, "OK" if self.ok else "FAILED"])


def describe(spec: runtime.TensorSpec) -> str:
    """Type and shape of an input or output, ``?`` for free dimensions."""
    sizes = "…" if spec.shape is None else ", ".join("?" if size < 0 else str(size) for size in spec.shape)
    return f"{spec.dtype} [{sizes}]"


def check_saved_model(
    path: str | Path,
    *,
    requests: Mapping[str, Sequence[Tensors]] | None = None,
    expected: Mapping[str, Sequence[Tensors]] | None = None,
    rtol: float = 1e-4,
    atol: float = 1e-4,
    timeout: float = 600.0,
    allow_ops: Sequence[str] = (),
) -> CheckReport:
    """Load any SavedModel in TensorFlow's C++ runtime, in a clean process, and run every signature.

    Parameters
    ----------
    path : str or Path
        The folder of the SavedModel, or one of version folders (the highest counts).
    requests : mapping of str to sequence of mappings, optional
        For each signature its requests, as mappings of input names to arrays. Where there are none: the requests of the
        model's warm-up file; where there are none either, small made-up inputs with 2 for each free dimension.
    expected : mapping of str to sequence of mappings, optional
        The answers to ``requests``, one for one. Outputs that an expected answer leaves out are not compared.
    rtol, atol : float
        Floats may differ by ``atol + rtol * abs(expected)``; everything else must be equal.
    timeout : float
        Seconds the process may take.
    allow_ops : sequence of str
        Ops that touch files or processes and may be run all the same; a model with others is not loaded.

    Returns
    -------
    CheckReport
        A model that fails gives a report with problems; only a folder without a readable SavedModel raises.

    Raises
    ------
    ModelFileError
        If there is no readable SavedModel.
    """
    path = _saved_model_folder(Path(path))
    try:
        file = runtime.SavedModelFile(path)
    except runtime.RuntimeModelError as error:
        raise ModelFileError(str(error)) from error
    report = CheckReport(path, ops=file.ops)
    report.signatures = [SignatureCheck(name, s["inputs"], s["outputs"]) for name, s in file.signatures.items()]
    _check_ops(report, file, allow_ops)
    jobs = _jobs(report, requests or {}, expected or {})
    if report.problems:
        return report
    answers = _run(report, jobs, timeout)
    signatures = {signature.name: signature for signature in report.signatures}
    for (name, index, _, wanted), answer in zip(jobs, answers, strict=False):
        signature, place = signatures[name], f"signature {name!r}, request {index} ({signatures[name].source})"
        if answer["fault"]:
            report.problems.append(f"{place}: {answer['fault']}{_hint(answer['fault'])}")
            continue
        signature.seconds.append(answer["seconds"])
        report.answers.setdefault(name, []).append(answer["tensors"])
        if wanted is None:
            continue
        signature.compared = True
        for output, want in wanted.items():
            if output not in answer["tensors"]:
                report.problems.append(f"{place}: no output {output!r}, got {sorted(answer['tensors'])}")
                continue
            fault, difference = compare(answer["tensors"][output], want, rtol=rtol, atol=atol)
            signature.largest_difference = max(signature.largest_difference, difference)
            if fault:
                report.problems.append(f"{place}, output {output!r}{fault}")
    return report


def compare(
    got: np.ndarray, want: object, *, rtol: float, atol: float, runtime_name: str = "the C++ runtime"
) -> tuple[str, float]:
    """Compare an answer with the one expected.

    Parameters
    ----------
    got : numpy.ndarray
        The runtime's answer.
    want : array-like
        The answer expected.
    rtol, atol : float
        Tolerances of floats.
    runtime_name : str
        What a fault calls the runtime.

    Returns
    -------
    fault : str
        The first difference, empty if there is none; it continues a sentence that names the output.
    largest : float
        Largest absolute difference of finite floats.
    """
    want = np.asarray(want)
    text = want.dtype.kind in "OSU"
    if got.shape != want.shape:
        return f": shape {list(got.shape)}, expected {list(want.shape)}", 0.0
    if text != (got.dtype.kind == "O"):
        return f": {got.dtype} values, expected {want.dtype}", 0.0
    largest = 0.0
    if text:
        want = runtime.as_input("expected", runtime.TensorSpec("string", None, ""), want)
        differs = got != want
    elif "f" in (got.dtype.kind, want.dtype.kind) or got.dtype.kind == "c":
        differs = ~np.isclose(got, want, rtol=rtol, atol=atol, equal_nan=True)
        finite = np.isfinite(got) & np.isfinite(want)
        largest = float(np.max(np.abs(np.where(finite, got, 0) - np.where(finite, want, 0)), initial=0.0))
    else:
        differs = got != want
    if not np.any(differs):
        return "", largest
    first = tuple(int(i) for i in np.argwhere(differs)[0])
    count = f"{int(np.sum(differs))} of {got.size} values differ"
    tolerance = f"; allowed: {atol:g} + {rtol:g} × expected" if largest else ""
    return (
        f"{list(first)}: {runtime_name} gives {got[first]!r}, expected {want[first]!r} ({count}{tolerance})",
        largest,
    )


def _saved_model_folder(path: Path) -> Path:
    versions = {} if (path / "saved_model.pb").is_file() else version_folders(path)
    return versions[max(versions)] if versions else path


def _check_ops(report: CheckReport, file: runtime.SavedModelFile, allowed: Sequence[str]) -> None:
    cudnn = [op for op in report.ops if op.startswith(("Cudnn", "_Cudnn"))]
    if cudnn:
        report.problems.append(
            f"{', '.join(cudnn)}: runs on an NVIDIA GPU only; rebuild the model with use_cudnn=False before exporting"
        )
    python = [op for op in report.ops if op in _PYTHON_OPS]
    if python:
        report.problems.append(
            f"{', '.join(python)}: calls Python, which a server does not have; "
            "replace tf.py_function and tf.numpy_function by TensorFlow ops"
        )
    try:
        check_ops(file, "it", {*allowed, *python})
    except ModelFileError as error:
        report.problems.append(str(error))


def _jobs(report: CheckReport, requests: Mapping, expected: Mapping) -> list[tuple]:
    """(signature, index, inputs, expected outputs or None) of each request to run."""
    names = [signature.name for signature in report.signatures]
    if not names:
        report.problems.append("the model has no signature, so a server has nothing to call")
    for name in (*requests, *expected):
        if name not in names:
            report.problems.append(f"no signature {name!r}; the model has {', '.join(names) or 'none'}")
        elif name in expected and len(expected[name]) != len(requests.get(name, ())):
            given = len(requests.get(name, ()))
            report.problems.append(f"signature {name!r}: {len(expected[name])} expected answers to {given} requests")
    try:
        recorded = warmup.read_warmup(report.path)
    except SeqkitError as error:
        recorded = {}
        report.problems.append(str(error))
    jobs = []
    for signature in report.signatures:
        name, wanted = signature.name, [None]
        if requests.get(name):
            signature.source, asked = "given", requests[name]
            wanted = expected.get(name) or [None] * len(asked)
        elif recorded.get(name):
            signature.source, asked = "warm-up file", recorded[name]
            wanted = [None] * len(asked)
        else:
            asked = [{key: _made_up(spec) for key, spec in signature.inputs.items()}]
        for index, (inputs, want) in enumerate(zip(asked, wanted, strict=False)):
            try:
                specs = signature.inputs
                # An unknown or missing input is for the runtime to name.
                arrays = {k: runtime.as_input(k, specs[k], v) if k in specs else v for k, v in inputs.items()}
                jobs.append((name, index, arrays, want))
            except runtime.RuntimeModelError as error:
                report.problems.append(f"signature {name!r}, request {index} ({signature.source}): {error}")
    return jobs


def _made_up(spec: runtime.TensorSpec) -> np.ndarray:
    shape = (2,) if spec.shape is None else tuple(2 if size < 0 else size for size in spec.shape)
    if spec.dtype == "string":
        return np.full(shape, b"a b", object)
    try:
        return np.ones(shape, "float32" if spec.dtype == "bfloat16" else spec.dtype)
    except TypeError as error:
        raise ModelFileError(f"an input of type {spec.dtype} cannot be made up; give requests") from error


def _run(report: CheckReport, jobs: list[tuple], timeout: float) -> list[dict]:
    with tempfile.TemporaryDirectory(prefix="seqkit-check-") as folder:
        asked, answered = Path(folder) / "requests.npz", Path(folder) / "answers.npz"
        runtime.write_records(asked, [{"signature": name, "tensors": inputs} for name, _, inputs, _ in jobs])
        command = [sys.executable, "-I", runtime.__file__, str(report.path.absolute()), str(asked), str(answered)]
        # Servers without a GPU are the rule: what needs one must show here.
        environment = {"TF_CPP_MIN_LOG_LEVEL": "2", **os.environ, "CUDA_VISIBLE_DEVICES": "-1"}
        try:
            done = subprocess.run(
                command, env=environment, cwd=folder, capture_output=True, timeout=timeout, check=False
            )
        except subprocess.TimeoutExpired:
            report.problems.append(f"the C++ runtime did not finish within {timeout:g} s")
            return []
        if done.returncode or not answered.is_file():
            last = done.stderr.decode(errors="replace").strip().splitlines()[-5:]
            report.problems.append(f"the C++ runtime ended with code {done.returncode}: {' | '.join(last)}")
            return []
        answers, head = runtime.read_records(answered)
    report.version, report.non_core_ops = head["version"], head.get("other_ops", [])
    report.load_seconds = head.get("load_seconds", 0.0)
    if head["fault"]:
        missing = f"; a server must link the ops {', '.join(report.non_core_ops)}" if report.non_core_ops else ""
        report.problems.append(f"{head['fault']}{missing}{_hint(head['fault'])}")
    return answers


def _hint(fault: str) -> str:
    if "Could not find variable" in fault or ("Resource" in fault and "does not exist" in fault):
        return (
            ". The model was saved in a way that only Python can load: hold the raw variables "
            "([v.value for v in model.variables]) in the tf.Module, not the Keras model, or use model.export()"
        )
    return ""
