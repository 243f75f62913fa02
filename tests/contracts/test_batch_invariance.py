"""The result for a sequence never depends on its batch: alone, among 512, padded further, shuffled, beside empty rows.

`BUILDERS` lists the models; a new builder joins with one entry: a name, and a function that returns the model and a
function from sequences (lists of integers from 1) to the model's input at a given padding.
"""

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from seqkit.decoding.beam import Penalties
from seqkit.decoding.translator import Translator
from seqkit.models import (
    build_classifier,
    build_encoder_decoder,
    build_generator,
    build_language_model,
    build_regressor,
    build_tagger,
)

VOCABULARY, TAGS, LONGEST = 30, ["O", "B-A", "I-A", "B-B", "I-B"], 9
FIXED = ("vectors", "features", "frames", "context")  # inputs whose last size belongs to the model
SMALL = {"units": 6, "word_dim": 5, "char_dim": 4, "char_units": 6, "feature_dim": 3, "seed": 0}


def padded(sequences, time, value=0):
    out = np.full((len(sequences), time), value, np.int32)
    for row, sequence in zip(out, sequences, strict=True):
        row[: len(sequence)] = sequence
    return out


def token_inputs(sequences, time, garbage=False):
    """Words, characters and features that follow from the word; after the end zeros, or garbage."""
    words = padded(sequences, time, VOCABULARY - 1 if garbage else 0)
    # One more character column where there is more padding, so that the longest token differs too.
    columns = [np.where(k <= words % 3, (words * (k + 2)) % 7 + 1, 0) for k in range(3)]
    columns += [np.zeros_like(words)] * (time - LONGEST)
    characters = np.where(words[..., None] > 0, np.stack(columns, -1), 0)
    lengths = np.array([len(s) for s in sequences], np.int32)
    features = np.stack([words % 4, words % 3], -1)
    return {"words": words, "characters": characters, "features": features, "lengths": lengths}


def vector_inputs(sequences, time, garbage=False):
    table = np.random.default_rng(0).normal(size=(VOCABULARY, 4))
    ids = padded(sequences, time)
    real = ids[..., None] > 0
    vectors = np.where(real, table[ids], np.nan if garbage else 0).astype(np.float32)
    return {"vectors": vectors, "lengths": np.array([len(s) for s in sequences], np.int32)}


def item_inputs(sequences, time, garbage=False):
    """Ids for a model of what comes next, and a context that follows from the sequence."""
    context = np.array([[len(s), sum(s[:2])] for s in sequences], np.float32) / 10
    return {"items": padded(sequences, time, VOCABULARY - 1 if garbage else 0), "context": context}


def frame_inputs(sequences, time, garbage=False):
    """Frames of four keys: the bits of the ids."""
    given = item_inputs(sequences, time, garbage)
    frames = (given["items"][..., None] >> np.arange(4)) & 1
    return {"frames": frames.astype(np.float32), "context": given["context"]}


def tagger(**options) -> Callable:
    def make():
        if "input_dim" in options:
            return build_tagger(tags=TAGS, units=6, seed=0, **options), vector_inputs
        return build_tagger(VOCABULARY, TAGS, characters=8, feature_sizes=[4, 3], **SMALL, **options), token_inputs

    return make


def reader(build=build_classifier, **options) -> Callable:
    def make():
        if "input_dim" in options:
            return build(units=6, seed=0, **options), vector_inputs
        return build(VOCABULARY, 3, characters=8, feature_sizes=[4, 3], **SMALL, **options), token_inputs

    return make


def writer(build=build_generator, **options) -> Callable:
    def make():
        if "keys" in options:
            return build(units=6, seed=0, context_dim=2, **options), frame_inputs
        context = {"context_dim": 2} if build is build_generator else {}
        return build(VOCABULARY, units=6, seed=0, **context, **options), item_inputs

    return make


def translator(**options) -> Callable:
    def make():
        if "input_dim" in options:
            return build_encoder_decoder(target_size=6, target_dim=5, units=6, seed=0, **options), vector_inputs
        sizes = {"characters": 8, "feature_sizes": [4, 3], "target_dim": 5, **SMALL}
        return build_encoder_decoder(VOCABULARY, 6, **sizes, **options), token_inputs

    return make


BUILDERS: dict[str, Callable] = {
    "tagger: lstm, crf, both ways, cnn": tagger(cell="lstm", crf=True, char_encoder="cnn"),
    "tagger: lstm, softmax, one way, rnn, 2 layers": tagger(
        cell="lstm", crf=False, bidirectional=False, char_encoder="rnn", layers=2
    ),
    "tagger: gru, crf, both ways, rnn": tagger(cell="gru", crf=True, char_encoder="rnn"),
    "tagger: gru, softmax, one way, cnn": tagger(cell="gru", crf=False, bidirectional=False, char_encoder="cnn"),
    "tagger: elman, crf, one way, cnn": tagger(cell="elman", crf=True, bidirectional=False, char_encoder="cnn"),
    "tagger: elman, softmax, both ways, cnn, 2 layers, learned state": tagger(
        cell="elman", crf=False, layers=2, initial_state="learned"
    ),
    "tagger: jordan, both ways, cnn, beam": tagger(cell="jordan", beam_width=3),
    "tagger: jordan, one way, rnn, 2 layers": tagger(
        cell="jordan", bidirectional=False, char_encoder="rnn", layers=2, initial_state="learned"
    ),
    "tagger: vectors, lstm, crf, both ways": tagger(input_dim=4),
    "tagger: vectors, gru, softmax, both ways": tagger(input_dim=4, cell="gru", crf=False),
    "classifier: lstm, maximum, both ways, cnn": reader(),
    "classifier: gru, last, both ways, rnn, 2 layers": reader(cell="gru", pooling="last", char_encoder="rnn", layers=2),
    "classifier: elman, attention, one way, bigrams": reader(
        cell="elman", pooling="attention", bidirectional=False, ngrams=2, ngram_rows=200
    ),
    "classifier: lstm, mean, several labels": reader(pooling="mean", multilabel=True),
    "classifier: jordan, both ways, learned state": reader(cell="jordan", initial_state="learned"),
    "classifier: jordan, one way, 2 layers": reader(cell="jordan", bidirectional=False, layers=2),
    "classifier: vectors, lstm, last, both ways": reader(input_dim=4, pooling="last", classes=3),
    "classifier: leaky, mean, both ways": reader(cell="leaky", pooling="mean"),
    "regressor: gru, maximum": reader(build_regressor, cell="gru"),
    "regressor: vectors, jordan, both ways": reader(build_regressor, input_dim=4, cell="jordan", targets=2),
    "language model: lstm, 2 layers, tied": writer(build_language_model, layers=2, word_dim=5, tied=True),
    "language model: gru, one-hot": writer(build_language_model, cell="gru"),
    "language model: jordan": writer(build_language_model, cell="jordan", layers=2),
    "generator: elman, ids, context as state": writer(cell="elman", word_dim=5, context_as="state"),
    "generator: lstm, frames, bernoulli": writer(keys=4, head="bernoulli", context_as="input"),
    "generator: leaky, frames, nade": writer(keys=4, head="nade", head_units=5, cell="leaky", initial_state="learned"),
    "generator: jordan, frames": writer(keys=4, head="bernoulli", cell="jordan"),
    "encoder-decoder: lstm, general": translator(),
    "encoder-decoder: gru, additive, input feeding, rnn, 2 layers": translator(
        cell="gru", attend="additive", input_feeding=True, char_encoder="rnn", layers=2, context_as="both"
    ),
    "encoder-decoder: jordan, none": translator(cell="jordan", attend=None),
    "encoder-decoder: vectors, elman, local": translator(input_dim=4, cell="elman", attend="local"),
}


@pytest.fixture(scope="module", params=BUILDERS, ids=str)
def model(request):
    """Return a function from sequences to lists of tags and of probabilities."""
    built, inputs = BUILDERS[request.param]()
    writes, translates = inputs in (item_inputs, frame_inputs), hasattr(built, "decoder")
    per_step = writes or built.per_step
    rng = np.random.default_rng(0)
    for variable in built.trainable_variables:  # far from zero, so that every part has a say
        variable.assign(rng.normal(0, 1.5 if writes and "bias" not in variable.name else 0.6, variable.shape))
    if getattr(built, "votes", None) is not None:  # two hundred pairs of words
        pairs = [first * VOCABULARY + second for first in range(2, VOCABULARY) for second in range(2, VOCABULARY)]
        built.votes.keys.assign(np.sort(rng.choice(pairs, 200, replace=False)))

    def run(batch):
        if writes:  # it brings no lengths: what stands after the end comes after all that is asked for
            answer = built({"items": batch.get("items", batch.get("frames")), "context": batch["context"]})
            return tf.argmax(answer, -1), answer
        if translates:  # the two best sequences, each told as one number, and how they score
            vectors, _, lengths, _ = built.embed(batch)
            best = Translator(built)
            limits = tf.fill(tf.shape(lengths), 5)
            found = best.search(best.start(vectors, lengths), limits, 3, 2, Penalties(0.6, 0.1))
            ids = tf.reduce_sum(found.ids * 6 ** tf.range(tf.shape(found.ids)[2]), -1)
            return ids[:, :1], tf.concat([found.scores, found.log_probability], -1)[:, None]
        encoded, lengths = built.encode(batch)  # as `decode` and a call of the model do it
        if built.per_step:
            return built.head.decode(encoded, lengths)[0], built.head.probabilities(encoded, lengths)
        answer = built(batch)
        return tf.argmax(answer, -1)[:, None], answer[:, None]

    example = inputs([[1]], LONGEST)
    specification = {
        name: tf.TensorSpec([None] * (value.ndim - 1) + [value.shape[-1] if name in FIXED else None], value.dtype)
        for name, value in example.items()
    }
    run = tf.function(run, input_signature=[specification])

    def answer(sequences, time=LONGEST, garbage=False):
        tags, probabilities = run(inputs(sequences, time, garbage))
        rows = zip(sequences, tags.numpy(), probabilities.numpy(), strict=True)
        return [(t[: len(s) if per_step else 1].tolist(), p[: len(s) if per_step else 1]) for s, t, p in rows]

    answer.per_step = per_step
    answer.link = "sigmoid" if inputs is frame_inputs else built.config.get("link", "softmax")
    if translates:
        answer.link = "linear"

    return answer


@pytest.fixture(scope="module")
def sequences():
    rng = np.random.default_rng(1)
    drawn = [rng.integers(1, VOCABULARY, rng.integers(0, LONGEST + 1)).tolist() for _ in range(510)]
    return [*drawn, [], rng.integers(1, VOCABULARY, LONGEST).tolist()]


@pytest.fixture(scope="module")
def together(model, sequences):
    """What a batch of 512 gives."""
    return model(sequences)


def same(found, expected):
    for (tags, probabilities), (other_tags, other_probabilities) in zip(found, expected, strict=True):
        assert tags == other_tags
        np.testing.assert_allclose(probabilities, other_probabilities, atol=1e-5)


def test_probabilities_are_distributions_and_differ(model, together):
    """Else the tests below would pass on a constant."""
    flat = np.concatenate([p for _, p in together])
    if model.link == "softmax":
        np.testing.assert_allclose(flat.sum(-1), 1, atol=1e-4)
    assert model.link == "linear" or ((flat >= 0) & (flat <= 1)).all()
    assert flat.std(0).max() > 0.02
    assert len({tag for tags, _ in together for tag in tags}) >= min(3 if model.per_step else 2, flat.shape[1])


def test_alone(model, sequences, together):
    for i in (0, 1, 2, 3, 510, 511):
        same(model([sequences[i]]), [together[i]])


def test_padded_further(model, sequences, together):
    same(model(sequences[:40], time=LONGEST + 30), together[:40])


def test_shuffled(model, sequences, together):
    order = np.random.default_rng(2).permutation(512)
    same(model([sequences[i] for i in order]), [together[i] for i in order])


def test_beside_empty_rows(model, sequences, together):
    found = model([[], *sequences[:3], [], []])
    same(found[1:4], together[:3])
    same([found[0], *found[4:]], [together[510]] * 3)
    same(model([[], []]), [together[510]] * 2)
    if model.per_step:
        assert found[0][0] == []


def test_garbage_after_the_end(model, sequences, together):
    same(model(sequences[:40], time=LONGEST + 1, garbage=True), together[:40])
