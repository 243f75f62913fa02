"""Parse trees in brackets."""

import gzip
import io
import random

import pytest

from seqkit.errors import DataError, FormatError, InputTypeError
from seqkit.io import Tree, format_tree, iter_trees, parse_tree, read_trees

TEXT = "(3 (2 It) (4 (2 's) (4 good)))"
TREE = Tree(["2", "2", "4", "4", "3"], ["It", "'s", "good", None, None], [(), (), (), (1, 2), (0, 3)])


def test_parse_and_format():
    assert parse_tree(TEXT) == TREE
    assert format_tree(TREE) == TEXT
    assert TREE.leaves == ["It", "'s", "good"]
    assert TREE.root_label == "3"


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("(2 a)", Tree(["2"], ["a"], [()])),
        ("(a)", Tree([""], ["a"], [()])),
        ("( a )", Tree([""], ["a"], [()])),
        ("((a) (b))", Tree(["", "", ""], ["a", "b", None], [(), (), (0, 1)])),
        ("((2 a)(2 b))", Tree(["2", "2", ""], ["a", "b", None], [(), (), (0, 1)])),
        ("( (2 a) (2 b))", Tree(["2", "2", ""], ["a", "b", None], [(), (), (0, 1)])),
        ("(S (NP a) (V b) (NP c))", Tree(["NP", "V", "NP", "S"], ["a", "b", "c", None], [(), (), (), (0, 1, 2)])),
        ("(S (NP (N a)))", Tree(["N", "NP", "S"], ["a", None, None], [(), (0,), (1,)])),
        ("\t(1\r\n\t(2 \t a)\n  (3\nb) ) \n", Tree(["2", "3", "1"], ["a", "b", None], [(), (), (0, 1)])),
        ("(2 3\u00a01/2)", Tree(["2"], ["3\u00a01/2"], [()])),
        ("(2 \u00a0\u2028)", Tree(["2"], ["\u00a0\u2028"], [()])),
        ("(2 -LRB-)", Tree(["2"], ["-LRB-"], [()])),
    ],
)
def test_forms(text, tree):
    assert parse_tree(text) == tree
    assert parse_tree(format_tree(tree)) == tree


def random_tree(rng, size):
    """Grows by giving children to leaves; then puts the nodes in post-order, by recursion, as the reader must not."""
    inner = {}
    leaves = [0]
    nodes = 1
    while nodes < size:
        node = leaves.pop(rng.randrange(len(leaves)))
        count = rng.choice([1, 2, 2, 3, 5])
        inner[node] = list(range(nodes, nodes + count))
        leaves += inner[node]
        nodes += count
    labels, tokens, children = [], [], []

    def place(node):
        places = tuple(place(child) for child in inner.get(node, ()))
        labels.append(rng.choice(["0", "4", "NP", "", "é"]))
        tokens.append(None if places else rng.choice(["a", "中文", "it's", "x\u00a0y", "😀", "2"]))
        children.append(places)
        return len(labels) - 1

    place(0)
    return Tree(labels, tokens, children)


def test_round_trip_on_random_trees():
    rng = random.Random(0)
    for _ in range(300):
        tree = random_tree(rng, rng.randint(1, 40))
        text = format_tree(tree)
        assert parse_tree(text) == tree
        assert format_tree(parse_tree(text)) == text
        spaced = text.replace("(", "(\t ").replace(")", "\n) ")
        assert parse_tree(spaced) == tree
        assert text.count("(") == len(tree.labels)
        assert tree.leaves == [token for token, inner in zip(tree.tokens, tree.children, strict=True) if not inner]


@pytest.mark.parametrize("opening", ["(1 ", "(1 (0 x) "])
def test_deep_trees(opening):
    depth = 10_000
    text = opening * depth + "(2 a)" + ")" * depth
    tree = parse_tree(text)
    assert len(tree.labels) == depth * opening.count("(") + 1
    assert format_tree(tree) == text
    if opening == "(1 ":
        assert tree.children[1:] == [(index,) for index in range(depth)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "^empty text: expected a tree such as"),
        (" \t\n", "^empty text"),
        ("a", "expected an opening bracket at character 1, got 'a'"),
        ("  )", r"expected an opening bracket at character 3, got '\)'"),
        ("\u00a0(2 a)", r"expected an opening bracket at character 1, got '\\xa0'"),
        ("()", "empty brackets at character 1"),
        ("(2 (2 a) ( ))", "empty brackets at character 10"),
        ("(2 (2 a)", "missing closing bracket: 1 open at the text's end, the last from character 1"),
        ("(2 (2 a) (3 (2", "missing closing bracket: 3 open at the text's end, the last from character 13"),
        ("(2 (2 a", "missing closing bracket: the one from character 4 is open"),
        ("(2 a))", r"text after the tree, from character 6: '\)'"),
        ("(2 a) (2 b)", r"text after the tree, from character 7: '\(2 b\)'"),
        ("(2 a) b", "text after the tree, from character 7: 'b'"),
        ("((a b) c)", "token beside brackets at character 8: 'c'"),
        ("(2 (2 a) b (2 c))", "token beside brackets at character 10: 'b'"),
        ("(2 b (2 a))", "token beside brackets at character 4: 'b'"),
        ("(2 a b)", r"more than one token in a bracket, at character 6: 'b'. Expected '\)' after 'a'"),
    ],
)
def test_faults_come_with_their_position(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        parse_tree(text)
    if text.strip(" \t\n"):
        path = tmp_path / "x.txt"
        path.write_text(f"(1 fine)\n\n{text}\n", encoding="utf-8")
        with pytest.raises(FormatError, match=message.lstrip("^")) as caught:
            read_trees(path)
        assert (caught.value.path, caught.value.line) == (str(path), 3)


def test_text_must_be_a_string():
    with pytest.raises(InputTypeError, match="text must be a string with one tree in brackets, got bytes"):
        parse_tree(b"(2 a)")


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        (Tree(["2"], ["a", "b"], [()]), "must be of one length, got 1, 2, 1"),
        (Tree(["2"], [None], [()]), "Node 0: a leaf has a token, an inner node has children; got None and"),
        (Tree(["2", "2"], ["a", "b"], [(), (0,)]), r"Node 1: a leaf has a token.* got 'b' and \(0,\)"),
        (Tree(["2"], [""], [()]), "Node 0: cannot write the label '2' and the token ''"),
        (Tree(["2"], ["a b"], [()]), "Node 0: cannot write"),
        (Tree(["2"], [":)"], [()]), "-LRB- or -RRB-"),
        (Tree(["("], ["a"], [()]), "Node 0: cannot write"),
        (Tree([], [], []), "A tree has one root, got 0 nodes"),
        (Tree(["2", "2"], ["a", "b"], [(), ()]), r"got 2 nodes without parent: \[0, 1\]"),
        (
            Tree(["2", "2", "2"], ["a", "b", None], [(), (), (1, 0)]),
            r"Node 2: its children must be .*\[0, 1\].* got \[1, 0\]",
        ),
        (Tree(["2", "2"], ["a", None], [(), (0, 0)]), "Node 1: its children must be the last 2 nodes"),
        (Tree(["2", "2"], ["a", None], [(), (1,)]), "Node 1: its children"),
    ],
)
def test_what_cannot_be_written(tree, message):
    with pytest.raises(DataError, match=message):
        format_tree(tree)


def test_files(tmp_path):
    data = f"\ufeff{TEXT}\r\n\r\n  \n(2 a\u0085b)\n".encode()
    plain, packed = tmp_path / "x.txt", tmp_path / "x.txt.gz"
    plain.write_bytes(data)
    packed.write_bytes(gzip.compress(data))
    expected = [(TREE, 1), (Tree(["2"], ["a\u0085b"], [()]), 4)]
    assert list(iter_trees(plain)) == list(iter_trees(packed)) == list(iter_trees(io.BytesIO(data))) == expected
    assert read_trees(plain) == [tree for tree, _ in expected]
    assert read_trees(io.StringIO("\n")) == []
    plain.write_bytes(b"(2 a)\n(2 \xff)\n")
    with pytest.raises(FormatError, match=r"x\.txt:2: not valid utf-8"):
        read_trees(plain)
