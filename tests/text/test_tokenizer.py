"""The graph tokenizer against a slow scanner that reads one character at a time."""

import random
import subprocess
import sys
import time
import unicodedata

import numpy as np
import pytest
import tensorflow as tf

from seqkit.errors import DataError, InputTypeError, ParameterError
from seqkit.text import unicode_classes as uc
from seqkit.text.tokenizer import MODES, tokenize, tokenize_texts

CLASSES = uc.class_of_code_points()
WORDLIKE = (uc.LETTER, uc.DIGIT)


# --- the reference ----------------------------------------------------------------------------------------------------


def clusters(text):
    """[start, end, class] of each character with what hangs on it."""
    out = []
    for i, char in enumerate(text):
        kind = int(CLASSES[ord(char)])
        last = out[-1] if out else None
        hangs = last is not None and last[2] != uc.SPACE
        if kind == uc.MARK:
            if hangs:
                last[1] += 1
                continue
            kind = uc.LETTER
        joined = kind == uc.EMOJI and hangs and last[3] in (uc.EMOJI, uc.TONE) and text[i - 1] == "\u200d"
        if joined or (kind == uc.TONE and hangs and last[3] == uc.EMOJI):
            last[1], last[3] = i + 1, kind
            continue
        if kind == uc.FLAG and hangs and last[3] == uc.FLAG and last[4] == 1:
            last[1], last[4] = i + 1, 2
            continue
        out.append([i, i + 1, kind, kind, 1])
    return [tuple(c[:3]) for c in out]


def url_length(units, i, text):
    """Number of units in the address that begins at unit i; 0 if none does."""
    base = [text[u[0]] for u in units]
    ahead = "".join(c if c.isascii() else "\0" for c in base[i : i + 8]).lower()
    www = ahead.startswith("www.") and i + 4 < len(units) and units[i + 4][2] in WORDLIKE
    if not (ahead.startswith(("http://", "https://")) or www) or (i and units[i - 1][2] in WORDLIKE):
        return 0
    end = i
    while end < len(units):
        kind, char = units[end][2], base[end]
        if char <= " " or char in '<>"`\\^{|}' or not (kind in WORDLIKE or (kind == uc.SYMBOL and char.isascii())):
            break
        end += 1
    while base[end - 1] in ".,:;!?'\")]*_~":
        end -= 1
    return end - i


def reference(text, mode):
    """(start, end) of each token, in characters."""
    if mode == "code_points":
        return [(i, i + 1) for i in range(len(text))]
    if mode == "whitespace":
        out, start = [], None
        for i, char in enumerate(text + " "):
            if char.isspace():
                if start is not None:
                    out.append((start, i))
                start = None
            elif start is None:
                start = i
        return out
    units = clusters(text)
    if mode == "characters":
        return [(s, e) for s, e, kind in units if kind != uc.SPACE]
    # Addresses first; the rest sees them as nothing to lean on.
    kinds, addresses, i = [u[2] for u in units], [], 0
    while i < len(units):
        length = url_length(units, i, text)
        if length:
            addresses.append((i, i + length))
            kinds[i : i + length] = ["url"] * length
        i += max(length, 1)

    def kind(k):
        return kinds[k] if 0 <= k < len(kinds) else uc.SPACE

    def glues(k):
        """Sign k holds its neighbours together."""
        if kind(k) != uc.SYMBOL:
            return False
        char, left, right = text[units[k][0]], kind(k - 1), kind(k + 1)
        if left == right == uc.LETTER:
            return char in ".'’·-‐‑@"
        if left == right == uc.DIGIT:
            return char in ".,:'’@"
        return left in WORDLIKE and right in WORDLIKE and char in "-‐‑@"

    out, i = [], 0
    starts = dict(addresses)
    while i < len(units):
        j = i + 1
        if i in starts:
            j = starts[i]
        elif kind(i) in WORDLIKE or (
            kind(i) == uc.SYMBOL and text[units[i][0]] in "@#" and kind(i - 1) not in WORDLIKE and kind(j) in WORDLIKE
        ):
            while kind(j) in WORDLIKE or glues(j):
                j += 1
        if kind(i) != uc.SPACE:
            out.append((units[i][0], units[j - 1][1]))
        i = j
    return out


# --- texts ------------------------------------------------------------------------------------------------------------

PLAIN = [
    "",
    " ",
    "Harry didn't meet Ron in Oxford.",
    "U.S.A., e.g. the well-known rock 'n' roll; Alice’s «book»…",
    "3.14 1,000.50 12:30 COVID-19 20-year-old 1996-08-30 -5 .5 5.",
    "mail foo.bar@x.com, ask @user or #tag; C# a@ @ # #1 @@x x@@y",
    "see (http://x.org/a_(b)?q=1#z.) https://y.de/ü, www.a.com. WWW.B.C www. http:// http://看 xhttp://q.r HTTPS://A.b http://a/#_",
    "北京大学 is 東京タワー 한국어 한국 วันนี้",
    "is👩🏽‍💻ok 👍🏽👍🏽🏽 🏽 ❤️‍🔥 🇩🇪🇫🇷🇩 1️⃣ #️⃣ ☺︎ 🏴\U000e0067\U000e0062\U000e007f 🇩\u0301🇪🇫",
    "e\u0301te\u0301 \u0301x a\u200db\u200d👍 Ⅷ x² snake_case __init__",
    "line\r\nnext\ttab\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2000\u2028\u2029\u202f\u205f\u3000end",
    "\ufeffBOM \u200bzero\u200bwidth \u200eltr\u200f \u2066x\u2069 soft\u00adhyphen a\x00b\x00",
]


def random_texts(count, seed):
    draw = random.Random(seed)
    alphabet = [*"aZé_ß09٣²Ⅷ.,:;'’-‐·@#/\\()\"<!? \n\t\xa0\u3000\u200b\ufeff\u0301\u200d\ufe0f😀👩💻❤🏽🇩🇪北のカーก한"]
    alphabet += ["\0", "\ufffd", "𝒳", "\u1161"]
    alphabet += ["http://", "www.", "https://x.y", "a.b", "1.2", "👩🏽‍💻"]
    return ["".join(draw.choices(alphabet, k=draw.randrange(25))) for _ in range(count)]


@pytest.mark.parametrize("mode", MODES)
def test_equals_the_reference(mode):
    texts = PLAIN + random_texts(1200, seed=1)
    found = tokenize_texts(texts, mode)
    assert len(found) == len(texts)
    for text, got in zip(texts, found, strict=True):
        want = reference(text, mode)
        assert list(zip(got.starts, got.ends, strict=True)) == want, repr(text)
        assert got.tokens == [text[s:e] for s, e in want]


@pytest.mark.parametrize(
    ("text", "spaced"),
    [
        (PLAIN[2], "Harry didn't meet Ron in Oxford ."),
        (PLAIN[4], "3.14 1,000.50 12:30 COVID-19 20-year-old 1996 - 08 - 30 - 5 . 5 5 ."),
        ("Ask foo.bar@x.com, @user or #tag (C#).", "Ask foo.bar@x.com , @user or #tag ( C # ) ."),
        ("see (http://x.org/a?q=1.) or www.a.com, ok", "see ( http://x.org/a?q=1 . ) or www.a.com , ok"),
        ("北京 is👩🏽‍💻ok 👍🏽👍 🇩🇪🇫🇷 1️⃣", "北 京 is 👩🏽‍💻 ok 👍🏽 👍 🇩🇪 🇫🇷 1️⃣"),
        ("e\u0301te\u0301\r\nNBSP\xa0x\u3000y", "e\u0301te\u0301 NBSP x y"),
        ("wait... what?!", "wait . . . what ? !"),
    ],
)
def test_words_by_example(text, spaced):
    assert tokenize_texts([text])[0].tokens == spaced.split(" ")


def test_whitespace_is_that_of_python():
    texts = ["a" + chr(code) + "b" for code in range(0xD800)]
    assert [t.tokens for t in tokenize_texts(texts, "whitespace")] == [text.split() for text in texts]


def test_character_classes():
    for code in range(0, 0x20000, 7):
        kind, category = CLASSES[code], unicodedata.category(chr(code))
        if kind in (uc.LETTER, uc.ALONE) and code != 0xFFFD:
            assert category[0] == "L" or category in ("Nl", "Pc"), hex(code)
        if category[0] == "M":
            assert kind == uc.MARK, hex(code)
        if category == "Nd":
            assert kind == uc.DIGIT, hex(code)
    pages, values = uc.two_stage(CLASSES)
    codes = np.arange(0x110000)
    np.testing.assert_array_equal(values[pages[codes // 256] + codes % 256], CLASSES)
    assert values.nbytes < 64_000


@pytest.mark.parametrize("mode", MODES)
def test_byte_offsets_give_back_the_bytes(mode):
    draw = random.Random(2)
    texts = [t.encode() for t in PLAIN + random_texts(300, seed=3)]
    texts += [bytes(draw.choices(b"ab .\xe6\x88\x91\xf0\x9f\x98\x80\xff\xc3\xed\xa0", k=20)) for _ in range(500)]
    result = tokenize(tf.constant(texts), mode)
    assert result.starts.dtype == result.ends.dtype == tf.int32
    rows = zip(texts, *(r.to_list() for r in result), strict=True)
    for text, tokens, starts, ends in rows:
        cut = [text[s:e] for s, e in zip(starts, ends, strict=True)]
        if mode == "code_points":  # what is no UTF-8 becomes U+FFFD
            assert b"".join(cut) == text
            cut = [part.decode(errors="replace").encode() for part in cut]
        assert tokens == cut
        assert all(s < e for s, e in zip(starts, ends, strict=True))
        assert all(e <= s for e, s in zip(ends, starts[1:], strict=False))
        if mode == "whitespace":
            # The graph reads broken bytes as U+FFFD, as Python does; white space is where it was.
            assert [t.decode(errors="replace") for t in tokens] == text.decode(errors="replace").split()


def test_bytes_and_characters_agree():
    texts = PLAIN + random_texts(200, seed=4)
    for mode in MODES:
        graph = tokenize(tf.constant([t.encode() for t in texts]), mode)
        for text, got, starts in zip(texts, tokenize_texts(texts, mode), graph.starts.to_list(), strict=True):
            assert [len(text[:s].encode()) for s in got.starts] == starts


def test_broken_bytes_stay_in_their_word():
    result = tokenize(tf.constant([b"caf\xe9 na\xefve\xff.", b"\xe6\x88"]))
    assert result.tokens.to_list() == [[b"caf\xe9", b"na\xefve\xff", b"."], [b"\xe6\x88"]]


def test_neighbours_in_a_batch_do_not_touch():
    texts = ["🇩", "🇪", "👩\u200d", "💻", "htt", "p://x.y", "a", "\u0301b", "x@", "y", "", "#", "z"]
    together = [t.tokens for t in tokenize_texts(texts)]
    assert together == [tokenize_texts([t])[0].tokens for t in texts]
    assert together[:4] == [["🇩"], ["🇪"], ["👩\u200d"], ["💻"]]


def test_lone_surrogates_keep_offsets():
    text = "a \ud800b 😀 c"
    got = tokenize_texts([text])[0]
    assert got.tokens == ["a", "\ud800b", "😀", "c"]
    assert got.starts == [0, 2, 5, 7]


def test_nothing():
    assert tokenize_texts([]) == []
    assert tokenize(tf.constant([], tf.string)).tokens.to_list() == []
    assert [t.tokens for t in tokenize_texts(["", "\u200b", "x"])] == [[], [], ["x"]]
    assert tokenize(tf.constant(["", ""])).starts.to_list() == [[], []]


def test_chunks_make_no_difference(monkeypatch):
    texts = PLAIN * 3
    whole = tokenize_texts(texts)
    monkeypatch.setattr("seqkit.text.tokenizer._CHUNK_CHARACTERS", 50)
    assert tokenize_texts(texts) == whole


def test_a_million_characters():
    unit = "Hello wörld, www.a.de is 1 text 👍🏽. "
    text = tf.constant([unit * (1_000_000 // len(unit))])
    graph = tf.function(tokenize)
    graph(tf.constant(["x"]))
    graph(text)
    start = time.perf_counter()
    tokens = graph(text).tokens
    assert time.perf_counter() - start < 30  # a second here; copying the text once a token would take minutes
    assert tokens.flat_values.shape[0] == 9 * (1_000_000 // len(unit))


def test_inside_a_saved_model(tmp_path):
    class Module(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def __call__(self, text):
            result = tokenize(text)
            return {"tokens": result.tokens.to_tensor(""), "starts": result.starts.to_tensor(0)}

    module = Module()
    texts = tf.constant(PLAIN)
    tf.saved_model.save(module, tmp_path / "m", signatures={"serving_default": module.__call__})
    loaded = tf.saved_model.load(tmp_path / "m").signatures["serving_default"](text=texts)
    np.testing.assert_array_equal(loaded["tokens"].numpy(), tokenize(texts).tokens.to_tensor("").numpy())
    np.testing.assert_array_equal(loaded["starts"].numpy(), tokenize(texts).starts.to_tensor(0).numpy())


def test_faults_are_named():
    with pytest.raises(ParameterError, match=r"mode: expected one of 'words', .* got 'word'"):
        tokenize_texts(["a"], mode="word")
    with pytest.raises(InputTypeError, match="a bare str"):
        tokenize_texts("Harry met Ron")
    with pytest.raises(InputTypeError, match=r"texts\[1\]: expected str, got NoneType"):
        tokenize_texts(["a", None])
    with pytest.raises(DataError, match=r"shape \[n\], got shape \(1, 1\)"):
        tokenize(tf.constant([["a"]]))


def test_classes_need_no_tensorflow():
    code = "import sys, seqkit.text.unicode_classes; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
