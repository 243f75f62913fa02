"""An estimator's parameters as command-line flags and as a YAML file.

Nothing is listed by hand: names and defaults come from the signature of ``__init__``, help from the numpydoc docstring.
The estimator is imported when its command is used (or its help is asked for), not before: that import is slow.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperCommand

from seqkit.console import hushed
from seqkit.errors import ParameterError

_META = "seqkit.parameters"
_PANEL = "Model and training"


class Parameter(NamedTuple):
    """One parameter of an estimator, as its signature and docstring tell it."""

    name: str
    default: Any
    type: str
    help: str


def estimator_parameters(cls: type) -> dict[str, Parameter]:
    """Read an estimator's parameters from its signature and its numpydoc docstring."""
    documented = parse_numpydoc(inspect.getdoc(cls) or "")
    return {
        name: Parameter(name, parameter.default, *documented.get(name, ("", "")))
        for name, parameter in inspect.signature(cls).parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }


def parse_numpydoc(doc: str) -> dict[str, tuple[str, str]]:
    """Map each name in the ``Parameters`` section of a docstring to its type and its description's first sentences."""
    section = re.search(r"^Parameters\n-+\n(.*?)(?=^\S[^\n]*\n-{3,}$|\Z)", doc, re.M | re.S)
    if not section:
        return {}
    found: dict[str, tuple[str, str]] = {}
    for entry in re.finditer(
        r"^(\S[^\n]*?)\s*(?::\s*([^\n]*))?\n((?:[ \t]+[^\n]*(?:\n|\Z)|\n)*)", section[1] + "\n", re.M
    ):
        names, kind, body = entry.groups()
        paragraph = " ".join(body.strip().partition("\n\n")[0].split()).replace("``", "")
        for name in re.split(r"\s*,\s*", names):
            found[name] = ((kind or "").strip(), paragraph)
    return found


def parse_value(text: str, kind: str = "") -> Any:
    """Read one value written on the command line or as a bare word in YAML.

    Parameters
    ----------
    text : str
        Such as ``"200"``, ``"1e-3"``, ``"none"``, ``"true"``, ``"[100, 50]"`` or ``"lstm"``.
    kind : str, optional
        The documented type. Where it speaks of text or a path and of no number, ``"1"`` stays text.
    """
    lowered = text.strip().lower()
    if lowered in ("none", "null"):
        return None
    if lowered in ("true", "false"):
        return lowered == "true"
    if text[:1] in ("[", "{"):
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            raise ParameterError(
                f"{text!r} looks like JSON but is not: {error}. Expected for example [100, 50]."
            ) from None
    textual = re.search(r"\b(str|path|PathLike)\b", kind) and not re.search(r"\b(int|float|number)\b", kind)
    if not textual and re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text.strip()):
        return int(text) if re.fullmatch(r"\s*[+-]?\d+\s*", text) else float(text)
    return text


def read_config(path: Path, parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    """Read parameters from a YAML file: one mapping of parameter names to values.

    Raises
    ------
    ParameterError
        If the file is no YAML mapping or has a key that is no parameter.
    """
    import yaml

    try:
        content = yaml.safe_load(path.read_bytes())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ParameterError(f"{path}: not valid YAML: {error}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ParameterError(f"{path}: expected a mapping such as 'units: 200', got a {type(content).__name__}.")
    values = {}
    for key, value in content.items():
        name = str(key).replace("-", "_")
        if name not in parameters:
            near = difflib.get_close_matches(name, parameters, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"Expected some of: {', '.join(parameters)}."
            raise ParameterError(f"{path}: unknown parameter {str(key)!r}. {hint}")
        # YAML reads 1e-3 as text (it wants 1.0e-3); a person means the number.
        values[name] = parse_value(value, parameters[name].type) if isinstance(value, str) else value
    return values


class _Choice(NamedTuple):
    """An estimator that a command can take."""

    title: str
    parameters: dict[str, Parameter]


def estimator_command(target: str, **variants: str) -> type[TyperCommand]:
    """Make a command class that adds a flag for every parameter of an estimator.

    Use it as ``@app.command(cls=estimator_command("seqkit:SequenceTagger"))`` on a function that takes a
    ``typer.Context``, and call ``given_parameters(ctx, config)`` inside.

    Parameters
    ----------
    target : str
        Where the estimator is, as ``"module:name"``.
    **variants : str
        Other estimators by the switch that takes them: with ``trees="seqkit:TreeClassifier"``, where the function's
        own flag ``--trees`` is on, the parameters are those of that estimator.
    """

    class EstimatorCommand(TyperCommand):
        _choices: dict[str | None, _Choice] | None = None

        def get_params(self, ctx):
            """Add the estimators' flags on first use."""
            if self._choices is None:
                taken = {parameter.name for parameter in self.params}
                self._choices = {}
                for switch, where in {None: target, **variants}.items():
                    module, _, name = where.partition(":")
                    with hushed():
                        found = estimator_parameters(getattr(importlib.import_module(module), name))
                    self._choices[switch] = _Choice(name, {key: p for key, p in found.items() if key not in taken})
                self.params = [*self.params, *_options(self._choices)]
            return super().get_params(ctx)

        def invoke(self, ctx):
            """Move the flags' values to where `given_parameters` finds them."""
            # The flags are no arguments of the function; it asks for them through the context.
            names = dict.fromkeys(name for choice in self._choices.values() for name in choice.parameters)
            given = {name: ctx.params.pop(name) for name in names}
            switch = next((name for name in variants if ctx.params[name]), None)
            ctx.meta[_META] = (self._choices, switch, given)
            return super().invoke(ctx)

    return EstimatorCommand


def given_parameters(ctx: typer.Context, config: Path | None = None) -> dict[str, Any]:
    """Collect the parameters a user set: those of the YAML file, then the flags, which win."""
    choices, switch, flags = ctx.meta[_META]
    title, parameters = choices[switch]
    values = read_config(config, parameters) if config is not None else {}
    for name, value in flags.items():
        if value is None:
            continue
        if name not in parameters:
            raise ParameterError(_misplaced(name, title, choices))
        values[name] = value if isinstance(value, bool) else parse_value(value, parameters[name].type)
    return values


def _misplaced(name: str, title: str, choices: Mapping[str | None, _Choice]) -> str:
    """Say of a flag that the chosen estimator does not have which one does."""
    switch, choice = next((key, choice) for key, choice in choices.items() if name in choice.parameters)
    remedy = "Leave it out" if switch is None else f"Add {_flag(switch)}, or leave it out"
    return f"{_flag(name)} is a parameter of {choice.title}, not of {title}, which is trained here. {remedy}."


def _options(choices: Mapping[str | None, _Choice]) -> list:
    """Let Typer itself make the options, from a function whose signature is written here."""

    def holder(**values):
        """Never called."""

    signature = []
    for name in dict.fromkeys(name for choice in choices.values() for name in choice.parameters):
        having = {switch: choice.parameters[name] for switch, choice in choices.items() if name in choice.parameters}
        parameter = next(iter(having.values()))
        flag = _flag(name)
        is_switch = isinstance(parameter.default, bool)
        allowed = _by_choice(having, _allowed)
        option = typer.Option(
            f"{flag}/--no-{flag[2:]}" if is_switch else flag,
            help=f"{parameter.help} Choices: {allowed}." if allowed else parameter.help,
            show_default=_by_choice(having, lambda found: _shown(found.default)),
            metavar=None if is_switch else _metavar(parameter.type),
            rich_help_panel=_panel(having, choices),
        )
        annotation = Annotated[(bool if is_switch else str) | None, option]
        signature.append(inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation))
    holder.__signature__ = inspect.Signature(signature)
    holder.__annotations__ = {}
    app = typer.Typer(add_completion=False)
    app.command()(holder)
    return list(typer.main.get_command(app).params)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _panel(having: Mapping[str | None, Parameter], choices: Mapping[str | None, _Choice]) -> str:
    """Title of the part of the help that a parameter belongs to, by the estimators that have it."""
    if len(having) == len(choices):
        return _PANEL
    word, named = ("without", set(choices) - set(having)) if None in having else ("with", set(having))
    return f"{_PANEL}: only {word} {' and '.join(map(_flag, sorted(named)))}"


def _by_choice(having: Mapping[str | None, Parameter], shown: Callable[[Parameter], str]) -> str:
    """What is shown of a parameter; where the estimators that have it differ, for each."""
    (_, text), *others = ((switch, shown(parameter)) for switch, parameter in having.items())
    differing = [(switch, other) for switch, other in others if other not in (text, "")]
    return text + "".join(f"; with {_flag(switch)}: {other}" for switch, other in differing)


def _shown(default: Any) -> str:
    if isinstance(default, bool):
        return "on" if default else "off"
    return "none" if default is None else str(default)


def _metavar(kind: str) -> str:
    """One short word: a wide column would cost the flags their ends in a terminal of 80 columns."""
    for word, shown in (("float", "NUM"), ("int", "INT"), ("path", "PATH"), ("PathLike", "PATH")):
        if re.search(rf"\b{word}\b", kind):
            return shown
    return "WORD"


def _allowed(parameter: Parameter) -> str:
    choices = re.search(r"\{(.*?)\}", parameter.type)
    return choices[1].replace('"', "").replace("'", "") if choices else ""
