"""Parse trees in brackets, as the Penn Treebank writes them: ``(3 (2 It) (4 (2 's) (4 good)))``, one a line."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import NamedTuple

from seqkit.errors import DataError, FormatError, InputTypeError
from seqkit.io.lines import Source, read_lines, source_name

# Only ASCII blanks separate: tokens of the Stanford treebank hold U+00A0.
_BLANKS = " \t\r\n\v\f"
# A bracket, up to two words, and the closing bracket if it is a leaf.
_OPENING = re.compile(rf"\([{_BLANKS}]*([^(){_BLANKS}]*)[{_BLANKS}]*([^(){_BLANKS}]*)[{_BLANKS}]*(\)?)[{_BLANKS}]*")
_CLOSING = re.compile(rf"\)[{_BLANKS}]*")
_SPECIAL = re.compile(rf"[(){_BLANKS}]")


class Tree(NamedTuple):
    """A tree as flat lists, one entry a node, children before their parent and in order; the root is the last.

    Parameters
    ----------
    labels : list of str
        Label of each node; ``""`` if it has none.
    tokens : list of (str or None)
        Token of each leaf; None at inner nodes.
    children : list of tuple of int
        Indices of the children of each node, from left to right; ``()`` at leaves.
    """

    labels: list[str]
    tokens: list[str | None]
    children: list[tuple[int, ...]]

    @property
    def leaves(self) -> list[str]:
        """Tokens from left to right."""
        return [token for token in self.tokens if token is not None]

    @property
    def root_label(self) -> str:
        """Label of the root."""
        return self.labels[-1]


def parse_tree(text: str) -> Tree:
    """Parse one tree.

    Parameters
    ----------
    text : str
        ``(label token)`` is a leaf, ``(label (...) (...))`` an inner node with any number of children. The label may
        be left out: ``(token)``, ``((...) (...))``. Blanks, tabs and line ends separate; other white space belongs to
        the token. Trees may be of any depth.

    Returns
    -------
    Tree

    Raises
    ------
    DataError
        With the position of the fault, counted in characters from 1.

    Examples
    --------
    >>> tree = parse_tree("(3 (2 so) (4 good))")
    >>> tree.labels, tree.tokens, tree.children
    (['2', '4', '3'], ['so', 'good', None], [(), (), (0, 1)])
    """
    if not isinstance(text, str):
        raise InputTypeError(f"text must be a string with one tree in brackets, got {type(text).__name__}.")
    labels: list[str] = []
    tokens: list[str | None] = []
    children: list[tuple[int, ...]] = []
    parents: list[tuple[str, int, list[int]]] = []  # open brackets: label, position, children so far
    position = len(text) - len(text.lstrip(_BLANKS))
    while position < len(text) and (parents or not labels):
        if match := _OPENING.match(text, position):
            first, second, closing = match.groups()
            if not closing:
                if second:
                    raise _fault_after_token(text, position, match)
                parents.append((sys.intern(first), position, []))
                position = match.end()
                continue
            if not first:
                raise DataError(f"empty brackets at character {position + 1}: expected a token or brackets in them.")
            label, token, inner = (first, second, ()) if second else ("", first, ())
        elif parents and (match := _CLOSING.match(text, position)):
            label, _, inner = parents.pop()
            token = None
        elif parents:
            raise DataError(
                f"token beside brackets at character {position + 1}: {_word(text, position)!r}. Give it "
                "brackets of its own; a bracket in a token is written -LRB- or -RRB-."
            )
        else:
            raise DataError(
                f"expected an opening bracket at character {position + 1}, got {_word(text, position)!r}. A tree looks "
                "like '(1 (0 not) (1 bad))'."
            )
        position = match.end()
        if parents:
            parents[-1][2].append(len(labels))
        labels.append(sys.intern(label))
        tokens.append(token)
        children.append(tuple(inner))
    if parents:
        raise DataError(
            f"missing closing bracket: {len(parents)} open at the text's end, the last from character "
            f"{parents[-1][1] + 1}."
        )
    if not labels:
        raise DataError("empty text: expected a tree such as '(1 (0 not) (1 bad))'.")
    if position < len(text):
        raise DataError(
            f"text after the tree, from character {position + 1}: {text[position:]!r:.40}. Expected nothing behind the "
            "bracket that closes it; one tree a line."
        )
    return Tree(labels, tokens, children)


def _fault_after_token(text: str, position: int, match: re.Match[str]) -> DataError:
    """What is wrong with a bracket that opens at `position`, holds two words and is not closed behind them."""
    where = match.end()
    if where == len(text):
        return DataError(f"missing closing bracket: the one from character {position + 1} is open at the text's end.")
    if text[where] == "(":
        return DataError(
            f"token beside brackets at character {match.start(2) + 1}: {match[2]!r}. Give it brackets of its own."
        )
    return DataError(
        f"more than one token in a bracket, at character {where + 1}: {_word(text, where)!r}. Expected ')' after "
        f"{match[2]!r}; each token has brackets of its own, and none holds a blank."
    )


def _word(text: str, position: int) -> str:
    """What stands there, for messages."""
    return re.compile(r"[()]|[^() \t\r\n\v\f]{1,40}").match(text, position)[0]


def format_tree(tree: Tree) -> str:
    """Write a tree in brackets on one line: the inverse of `parse_tree`.

    Parameters
    ----------
    tree : Tree

    Returns
    -------
    str

    Raises
    ------
    DataError
        If a label or token is empty where it must not be, or holds a bracket or a blank; or if the lists are not those
        of one tree, children before parents, the root last.
    """
    _check(tree)
    pieces, pending = [], [len(tree.labels) - 1]
    while pending:
        node = pending.pop()
        if node < 0:
            pieces.append(")")
        elif tree.children[node]:
            pieces.append(f" ({tree.labels[node]}")
            pending.append(-1)
            pending.extend(reversed(tree.children[node]))
        else:
            label = f"{tree.labels[node]} " if tree.labels[node] else ""
            pieces.append(f" ({label}{tree.tokens[node]})")
    return "".join(pieces)[1:]


def _check(tree: Tree) -> None:
    if not len(tree.labels) == len(tree.tokens) == len(tree.children):
        raise DataError(
            f"labels, tokens and children of a tree must be of one length, got {len(tree.labels)}, "
            f"{len(tree.tokens)}, {len(tree.children)}."
        )
    without_parent: list[int] = []
    for node, (label, token, inner) in enumerate(zip(*tree, strict=True)):
        if (token is None) != bool(inner):
            raise DataError(f"Node {node}: a leaf has a token, an inner node has children; got {token!r} and {inner}.")
        if _SPECIAL.search(label) or (token is not None and (not token or _SPECIAL.search(token))):
            raise DataError(
                f"Node {node}: cannot write the label {label!r} and the token {token!r}: one holds a bracket or a "
                "blank, or the token is empty. Replace it (a bracket by -LRB- or -RRB-)."
            )
        if inner:
            before = len(without_parent) - len(inner)
            if before < 0 or without_parent[before:] != list(inner):
                raise DataError(
                    f"Node {node}: its children must be the last {len(inner)} nodes that have no parent yet, in order "
                    f"({without_parent[-len(inner) :]}), got {list(inner)}."
                )
            del without_parent[before:]
        without_parent.append(node)
    if len(without_parent) != 1:
        raise DataError(f"A tree has one root, got {len(without_parent)} nodes without parent: {without_parent[:8]}.")


def iter_trees(path_or_file: Source) -> Iterator[tuple[Tree, int]]:
    """Stream the trees of a file.

    Parameters
    ----------
    path_or_file : str, path or file object
        One tree a line; blank lines are skipped. Plain or gzip; ``"-"`` is standard input.

    Yields
    ------
    tree : Tree
    line : int
        Its line, counted from 1.

    Raises
    ------
    FormatError
        With file and line, and the position in the line: see `parse_tree`.
    """
    name = source_name(path_or_file)
    for number, line in read_lines(path_or_file):
        if not line.strip(_BLANKS):
            continue
        try:
            tree = parse_tree(line)
        except DataError as error:
            raise FormatError(name, number, str(error)) from error
        yield tree, number


def read_trees(path_or_file: Source) -> list[Tree]:
    """Read the trees of a file: the first of what `iter_trees` gives."""
    return [tree for tree, _ in iter_trees(path_or_file)]
