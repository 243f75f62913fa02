from __future__ import annotations

import pytest

from seqkit.cli_parameters import estimator_parameters, parse_numpydoc, parse_value, read_config
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
