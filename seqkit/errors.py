"""The exceptions of the toolkit.

Each message says what is wrong, where (parameter, index, or file and line), what was expected, what came, what to do.
Every class is also the built-in exception a caller would expect, so ``except ValueError`` keeps working.
"""

from __future__ import annotations

import importlib
from types import ModuleType


class SeqkitError(Exception):
    """Root of all errors raised on purpose by seqkit."""


class ParameterError(SeqkitError, ValueError):
    """A parameter of an estimator, builder or command has a value it cannot have."""


class DataError(SeqkitError, ValueError):
    """Input data that cannot be used; names the item (its index, or file and line)."""


class InputTypeError(SeqkitError, TypeError):
    """Input of the wrong Python type, such as a bare string where a list of sequences belongs."""


class FormatError(DataError):
    """A file that does not follow its format.

    Parameters
    ----------
    path : str
        The file.
    line : int or None
        Line number, counted from 1; None where a line has no meaning (binary files, whole-file faults).
    message : str
        What is wrong and what was expected.
    """

    def __init__(self, path: object, line: int | None, message: str):
        self.path, self.line, self.reason = str(path), line, message
        super().__init__(f"{self.path}:{line}: {message}" if line is not None else f"{self.path}: {message}")

    def __reduce__(self):
        return type(self), (self.path, self.line, self.reason)


class ModelFileError(SeqkitError, ValueError):
    """A saved model folder that is missing, damaged, of another kind, or from an unknown format version."""


class ExportError(SeqkitError, RuntimeError):
    """An export that does not answer as the model does; nothing is left behind."""


class ServingError(SeqkitError, RuntimeError):
    """A request that a model server does not answer.

    Parameters
    ----------
    message : str
        What the server said.
    code : str
        The status, as gRPC names it: ``"NOT_FOUND"``, ``"INVALID_ARGUMENT"``, ``"UNAVAILABLE"``, …
    """

    def __init__(self, message: str, code: str = "UNKNOWN"):
        super().__init__(message)
        self.code = code

    def __reduce__(self):
        return type(self), (str(self), self.code)


class TrainingError(SeqkitError, RuntimeError):
    """Training that cannot go on, such as a loss that became NaN."""


class MissingDependencyError(SeqkitError, ImportError):
    """An optional package that is not installed."""


def require(module: str, *, extra: str, why: str) -> ModuleType:
    """Import an optional package, or say in one line how to get it.

    Parameters
    ----------
    module : str
        Import name, such as ``"matplotlib.pyplot"``.
    extra : str
        The extra of seqkit that installs it.
    why : str
        What needs it; begins the message.

    Raises
    ------
    MissingDependencyError
        If the package is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise MissingDependencyError(
            f"{why} needs the package {package!r}, which is not installed ({error}). "
            f"Install it with: pip install 'seqkit[{extra}]'"
        ) from error
