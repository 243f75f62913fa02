"""Names of columns, where an answer stands beside the fields of its input."""

from __future__ import annotations

from collections.abc import Container, Iterable


def beside_answers(names: Iterable[str], answers: Container[str]) -> list[str]:
    """Return what the fields of an input are called beside its answer.

    A field that has the name of an answer (the true ``label``, say) becomes ``input_label``; or, where the input has
    that one too, ``input_input_label``. So does the second of two fields of one name. All others keep their names.

    Parameters
    ----------
    names : iterable of str
        Of the fields.
    answers : container of str
        Names of the answers.
    """
    names, found = list(names), []
    for name in names:
        if name in answers or name in found:
            while name in answers or name in names or name in found:
                name = f"input_{name}"
        found.append(name)
    return found
