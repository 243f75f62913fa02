from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from seqkit.cli_parameters import (
    estimator_command,
    estimator_parameters,
    given_parameters,
    parse_numpydoc,
    parse_value,
    read_config,
)
from seqkit.errors import ParameterError


class Estimator:
    """Something with parameters.

    Parameters
    ----------
    units : int, default 200
        Size of the state.
        In numbers.

        A second paragraph.
    cell : {"lstm", "gru"}, default "lstm"
        The recurrence.
    rate, decay : float
        How fast.
    vectors : str or path-like, optional
        A file.

    Attributes
    ----------
    model_ : object
        No parameter.
    """

    def __init__(self, units=200, *, cell="lstm", rate=1e-3, decay=None, vectors=None, undocumented=True):
        pass


class Other:
    """Another, of which a switch speaks.

    Parameters
    ----------
    units : int, default 150
        Size of a node.
    cell : {"tree"}, default "tree"
        The recurrence.
    node_labels : bool, default True
        Whether nodes count.
    """

    def __init__(self, units=150, cell="tree", node_labels=True):
        pass


@pytest.fixture
def command():
    """Run a command with two estimators; return the parameters it got, or the whole result if it failed."""
    app = typer.Typer(add_completion=False)
    got = {}

    @app.command(cls=estimator_command(f"{__name__}:Estimator", other=f"{__name__}:Other"))
    def train(
        context: typer.Context,
        config: Annotated[Path | None, typer.Option()] = None,
        other: Annotated[bool, typer.Option("--other")] = False,
    ) -> None:
        got.update(given_parameters(context, config))

    def run(*arguments):
        got.clear()
        result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200", "TERM": "dumb"})
        return result if result.exception or "--help" in arguments else dict(got)

    return run


def test_parameters_come_from_the_signature_and_the_docstring():
    found = estimator_parameters(Estimator)
    assert list(found) == ["units", "cell", "rate", "decay", "vectors", "undocumented"]
    assert found["units"][1:] == (200, "int, default 200", "Size of the state. In numbers.")
    assert found["decay"][1:] == (None, "float", "How fast.")
    assert found["undocumented"][1:] == (True, "", "")


def test_a_docstring_without_the_section_has_no_parameters():
    assert parse_numpydoc("Only a summary.") == {}
    assert parse_numpydoc("Parameters\n----------\nlast : int") == {"last": ("int", "")}


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("200", "int", 200),
        ("-1", "", -1),
        ("1e-3", "float", 0.001),
        (".5", "float", 0.5),
        ("2", "float or int", 2),
        ("none", "int or None", None),
        ("True", "bool", True),
        ("[100, 50]", "int or list of int", [100, 50]),
        ("lstm", '{"lstm"}', "lstm"),
        ("nan", "", "nan"),
        ("17", "str or path-like", "17"),
        ("3.10", "path", "3.10"),
        ("1.2.3", "", "1.2.3"),
        ("", "str", ""),
    ],
)
def test_values(text, kind, value):
    parsed = parse_value(text, kind)
    assert (parsed, type(parsed)) == (value, type(value))


def test_half_a_list_is_an_error():
    with pytest.raises(ParameterError, match="looks like JSON"):
        parse_value("[100, 50")


def test_config(tmp_path):
    file = tmp_path / "p.yaml"
    file.write_text("units: 100\nrate: 1e-4\ncell: gru\ndecay: null\nvectors: 12\n")
    assert read_config(file, estimator_parameters(Estimator)) == {
        "units": 100,
        "rate": 1e-4,
        "cell": "gru",
        "decay": None,
        "vectors": 12,
    }
    file.write_text("")
    assert read_config(file, estimator_parameters(Estimator)) == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"unit: 3", "unknown parameter 'unit'. Did you mean 'units'"),
        (b"zzz: 3", "unknown parameter 'zzz'. Expected some of: units, cell"),
        (b"- 1\n- 2", "expected a mapping such as 'units: 200', got a list"),
        (b"units: [1", "not valid YAML"),
        (b"\xff\xfe\xfa", "not valid YAML"),
    ],
)
def test_config_errors_name_the_file(tmp_path, content, message):
    file = tmp_path / "p.yaml"
    file.write_bytes(content)
    with pytest.raises(ParameterError, match=message) as caught:
        read_config(file, estimator_parameters(Estimator))
    assert str(file) in str(caught.value)


def test_a_switch_takes_another_estimator(command, tmp_path):
    assert command("--units", "3", "--cell", "gru") == {"units": 3, "cell": "gru"}
    assert command("--other", "--units", "3", "--no-node-labels") == {"units": 3, "node_labels": False}
    file = tmp_path / "p.yaml"
    file.write_text("node_labels: false")
    assert command("--other", "--config", str(file)) == {"node_labels": False}
    assert "unknown parameter 'node_labels'" in str(command("--config", str(file)).exception)


def test_a_flag_of_the_other_estimator_is_an_error(command):
    error = command("--node-labels").exception
    assert isinstance(error, ParameterError) and "Add --other, or leave it out" in str(error)
    error = command("--other", "--rate", "1").exception
    assert "--rate is a parameter of Estimator, not of Other" in str(error)


def test_help_tells_the_estimators_apart(command):
    text = command("--help").output
    assert "Choices: lstm, gru; with --other: tree." in text and "(200; with --other: 150)" in text
    common, first, second = (
        text.index(f"Model and training{rest}") for rest in (" ", ": only without", ": only with ")
    )
    assert common < text.index("--cell") < first < text.index("--rate") < second < text.index("--node-labels")
