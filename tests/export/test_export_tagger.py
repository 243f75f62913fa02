"""Exports of taggers, run in TensorFlow's C++ runtime: the signatures answer as `predict` does."""

from __future__ import annotations

import json

import numpy as np
import pytest

import seqkit
from seqkit.errors import ModelFileError
from seqkit.export.runtime import Runtime

PARAMETERS = {
    "validation_fraction": None,
    "average_weights": False,
    "units": 6,
    "word_dim": 6,
    "char_units": 4,
    "batch_size": 8,
    "epochs": 2,
    "learning_rate": 0.05,
    "random_state": 0,
    "verbose": 0,
}
TEXTS = ["Ada lives in Oslo.", "", "天气 New Delhi 👍🏽 isn't é!", "unseen", "  "]


def make(**parameters):
    return seqkit.SequenceTagger(**{**PARAMETERS, **parameters})


def rows(values, lengths) -> list[list[str]]:
    assert all((row[n:] == b"").all() for row, n in zip(values, lengths, strict=True))
    return [[value.decode() for value in row[:n]] for row, n in zip(values, lengths, strict=True)]


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    file = tmp_path_factory.mktemp("vectors") / "vectors.vec"
    file.write_text("4 3\nOslo 3 0 0\nParis 3 0.1 0\nrained 0 0 3\nrich 0 3 0\n")
    return file


@pytest.fixture(scope="module")
def tagger(tiny_corpus, words):
    """LSTM both ways, CRF, characters read by a network, shapes, pretrained vectors."""
    return make(word_vectors=words, char_encoder="rnn").fit(tiny_corpus.X[:32], tiny_corpus.y[:32])


@pytest.fixture(scope="module")
def folder(tagger, tmp_path_factory):
    return tagger.export(tmp_path_factory.mktemp("served") / "ner")


@pytest.fixture(scope="module")
def served(folder):
    with Runtime(folder) as runtime:
        yield runtime


def ask(runtime, texts) -> dict:
    return runtime.run("serving_default", {"text": np.array([t.encode() for t in texts], object)})


def test_text_signature(tagger, served):
    answer = ask(served, TEXTS)
    expected = tagger.tag(TEXTS)
    lengths = answer["lengths"].tolist()
    assert set(answer) == {"tokens", "tags", "scores", "starts", "ends", "lengths"}
    assert lengths == [len(found["tokens"]) for found in expected] and lengths[1] == lengths[4] == 0
    assert rows(answer["tokens"], lengths) == [found["tokens"] for found in expected]
    assert rows(answer["tags"], lengths) == [found["tags"] for found in expected] == tagger.predict(TEXTS)
    for i, (text, found) in enumerate(zip(TEXTS, expected, strict=True)):
        n, data = lengths[i], text.encode()
        np.testing.assert_allclose(answer["scores"][i, :n], found["scores"], atol=1e-5)
        assert (answer["scores"][i, n:] == 0).all()
        # Offsets count bytes.
        cuts = [data[a:b].decode() for a, b in zip(answer["starts"][i, :n], answer["ends"][i, :n], strict=True)]
        assert cuts == found["tokens"]
        assert (answer["starts"][i, n:] == 0).all() and (answer["ends"][i, n:] == 0).all()


def test_scores_are_marginals(tagger, served):
    answer, proba = ask(served, TEXTS[:1]), tagger.predict_proba(TEXTS[:1])[0]
    columns = {tag: i for i, tag in enumerate(tagger.classes_)}
    expected = [proba[i, columns[tag.decode()]] for i, tag in enumerate(answer["tags"][0])]
    np.testing.assert_allclose(answer["scores"][0], expected, atol=1e-5)


@pytest.mark.parametrize(
    "sentences",
    [
        [["Ada", "lives", "in", "Oslo", "."], ["天气", "👍🏽"], []],
        [["a", "", "b"], ["", "b"]],
        [[], []],
        [["x" * 10_000, "a\0b"]],
    ],
    ids=["plain", "empty tokens inside", "empty rows", "odd"],
)
def test_tokens_signature(tagger, served, sentences):
    """The empty token pads behind the last one; inside a sentence it is a token."""
    time = max(map(len, sentences)) + 1
    tokens = np.full((len(sentences), time), b"", object)
    for i, sentence in enumerate(sentences):
        tokens[i, : len(sentence)] = [token.encode() for token in sentence]
    answer = served.run("tokens", {"tokens": tokens})
    assert set(answer) == {"tags", "scores", "lengths"}
    assert answer["lengths"].tolist() == [len(sentence) for sentence in sentences]
    assert answer["tags"].shape == (len(sentences), time)
    assert rows(answer["tags"], answer["lengths"]) == tagger.predict(sentences)
    proba = tagger.predict_proba(sentences)
    columns = {tag: i for i, tag in enumerate(tagger.classes_)}
    for i, tags in enumerate(tagger.predict(sentences)):
        expected = [proba[i][j, columns[tag]] for j, tag in enumerate(tags)]
        np.testing.assert_allclose(answer["scores"][i, : len(tags)], expected, atol=1e-5)


def test_no_rows_and_no_steps(served):
    answer = ask(served, [])
    assert answer["tags"].shape[0] == 0 and answer["lengths"].shape == (0,)
    for shape in ((0, 0), (0, 3), (2, 0)):
        answer = served.run("tokens", {"tokens": np.empty(shape, object)})
        assert answer["tags"].shape == shape and answer["lengths"].tolist() == [0] * shape[0]
    answer = ask(served, ["", " "])
    assert answer["tags"].shape[0] == 2 and answer["lengths"].tolist() == [0, 0]


def test_n_rows_answer_as_n_requests(served):
    texts = ["Ada met Noam", "it rained all day in Oslo , 天气 .", "", "New Delhi"]
    together = ask(served, texts)
    for i, text in enumerate(texts):
        alone = ask(served, [text])
        n = int(alone["lengths"][0])
        assert together["lengths"][i] == n
        for name in ("tokens", "tags", "starts", "ends"):
            assert together[name][i, :n].tolist() == alone[name][0].tolist()
        np.testing.assert_allclose(together["scores"][i, :n], alone["scores"][0], atol=1e-5)


def test_bytes_that_are_no_text(served):
    answer = served.run("serving_default", {"text": np.array([b"Ada \xff\xfe \x00 Oslo"], object)})
    assert answer["tokens"][0, 0] == b"Ada" and answer["lengths"][0] >= 2
    assert served.run("tokens", {"tokens": np.array([[b"\xff", b"a"]], object)})["lengths"].tolist() == [2]


def test_words_of_the_vectors_file_are_known_at_serving(tagger, served):
    """Neither word was in the training data; one is in the file. The spelling is out of play: their scores differ
    from those that the model gives without vectors."""
    assert "paris" in tagger.vocabulary_.extra_words
    answer = served.run("tokens", {"tokens": np.array([[b"paris"], [b"in"]], object)})
    (path,) = tagger.predict([["paris"]])
    assert answer["tags"][0, 0].decode() == path[0]
    table = tagger.model_.encoder.vector_table
    with_vectors, before = tagger.predict_proba([["paris"]])[0], table.numpy()
    column = tagger.classes_.tolist().index(path[0])
    assert answer["scores"][0, 0] == pytest.approx(with_vectors[0, column], abs=1e-5)
    table.assign(np.zeros_like(before))
    try:
        without = tagger.predict_proba([["paris"]])[0]
    finally:
        table.assign(before)
    assert np.abs(with_vectors - without).max() > 1e-3


def test_manifest(folder, tagger):
    manifest = json.loads((folder / "assets.extra" / "manifest.json").read_text())
    assert (manifest["task"], manifest["class"]) == ("tagging", "SequenceTagger")
    assert manifest["tags"] == tagger.classes_.tolist() and manifest["scheme"] == "iob2"
    assert manifest["non_core_ops"] == []
    assert set(manifest["signatures"]) == {"serving_default", "tokens"}
    assert manifest["signatures"]["serving_default"]["inputs"]["text"]["shape"] == [-1]
    assert (folder / "assets.extra" / "tf_serving_warmup_requests").is_file()


def test_an_export_is_no_saved_estimator(folder):
    with pytest.raises(ModelFileError, match=r"SavedModel for serving.*save\(\)"):
        seqkit.SequenceTagger.load(folder)


NETWORKS = {
    "elman": {},
    "gru": {"initial_state": "learned"},
    "jordan": {"beam_width": 3, "bidirectional": True},
}


def test_vectors_networks_and_versions(tmp_path):
    """Frames of two numbers, to numbers or to IOB tags; each further export is the next version."""
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(n, 2)).astype(np.float32) for n in (3, 1, 5, 4)]
    signs = [(x[:, 0] > 0).astype(int) for x in X]
    features = np.full((4, 6, 2), np.nan, np.float32)  # what stands behind the end does not matter
    for i, x in enumerate(X):
        features[i, : len(x)] = x
    lengths = np.array([3, 1, 5, 4], np.int32)
    for version, (cell, parameters) in enumerate(NETWORKS.items(), 1):
        tagger = make(**{"cell": cell, "crf": False, "bidirectional": False, **parameters})
        names = ["I-X", "B-X"] if cell == "jordan" else [0, 1]
        tagger.fit(X, [[names[sign] for sign in row] for row in signs])
        folder = tagger.export(tmp_path / "frames")
        assert folder == tmp_path / "frames" / str(version)
        with Runtime(folder) as runtime:
            assert set(runtime.signatures) == {"serving_default"}

            def run(features, lengths, runtime=runtime):
                return runtime.run("serving_default", {"features": features, "lengths": lengths})

            answer, nothing = run(features, lengths), run(features[:2], np.zeros(2, np.int32))
            assert run(features[:0], lengths[:0])["tags"].shape[0] == 0
            assert run(features[:, :0], lengths)["tags"].shape == (4, 0)
        assert set(answer) == {"tags", "scores", "lengths"}
        tags = tagger.predict(X)
        assert rows(answer["tags"], lengths) == [[str(tag) for tag in row] for row in tags]
        if cell == "jordan":
            assert tagger.scheme_ == "iob2" and {row[0] for row in tags} == {"B-X"}  # no other legal beginning
        columns = {tag: i for i, tag in enumerate(tagger.classes_)}
        for i, p in enumerate(tagger.predict_proba(X)):
            expected = [p[j, columns[tag]] for j, tag in enumerate(tags[i])]
            np.testing.assert_allclose(answer["scores"][i, : len(p)], expected, atol=1e-5)
        assert (nothing["tags"] == b"").all() and (nothing["scores"] == 0).all()
    assert sorted(path.name for path in (tmp_path / "frames").iterdir()) == ["1", "2", "3"]
