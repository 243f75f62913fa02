"""LanguageModel: what it learns, its probabilities by brute force, what it writes."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

import seqkit.training.next_step
from seqkit import LanguageModel
from seqkit.errors import DataError, InputTypeError, ParameterError, SeqkitError

FRUIT = ["the apple and pear salad", "a pair of shoes", "the pear and apple salad", "a pair of old shoes"] * 12
_LOSSES = ("loss", "validation_loss")
SMALL = {"units": 12, "word_dim": 6, "epochs": 2, "verbose": 0, "random_state": 0, "learning_rate": 0.01}


@pytest.fixture(scope="module")
def fruit():
    return LanguageModel(**{**SMALL, "units": 32, "epochs": 25, "steps": 16}).fit(FRUIT)


def by_steps(model, tokens):
    """Log-probabilities of a text's tokens and its end, one step at a time."""
    known = {word: i + 2 for i, word in enumerate(model.vocabulary_.words)}
    ids, states, found = [0, *(known.get(t, 1) for t in tokens), 0], model.model_.first_states(1), []
    for one, following in itertools.pairwise(ids):
        logits, states = model.model_.step(tf.constant([one]), states)
        found.append(float(tf.nn.log_softmax(logits)[0, following]))
    return found


def test_right_words_are_more_likely_than_those_that_sound_alike(fruit):
    right, wrong = fruit.log_probability(["the apple and pear salad", "the apple and pair salad"])
    assert right > wrong + 2
    assert fruit.history_["loss"][-1] < fruit.history_["loss"][0] / 4
    assert fruit.history_["validation_loss"][-1] < 0.6


def test_probabilities_are_those_of_single_steps(fruit, monkeypatch):
    texts = ["a pear", "", "shoes & salad", "the apple " * 9]
    monkeypatch.setattr(seqkit.training.next_step, "_LOGITS", 4 * fruit.vocabulary_.n_words * 4)  # 4 at a time
    found = fruit.log_probability(texts, per_token=True)
    for text, each in zip(texts, found, strict=True):
        assert len(each) == len(text) + 1
        np.testing.assert_allclose(each, by_steps(fruit, text), atol=1e-4)
    np.testing.assert_allclose(fruit.log_probability(texts), [p.sum() for p in found], rtol=1e-5)
    mean = np.concatenate(found).mean()
    np.testing.assert_allclose(fruit.score(texts), mean, rtol=1e-5)
    np.testing.assert_allclose(fruit.perplexity(texts), np.exp(-mean), rtol=1e-5)
    heavy = np.concatenate([found[0], found[0], found[2]]).mean()
    np.testing.assert_allclose(fruit.score(texts, sample_weight=[2, 0, 1, 0]), heavy, rtol=1e-5)


def test_all_texts_of_some_length_add_up_to_one():
    model = LanguageModel(**SMALL, tokenizer="whitespace").fit(["a b", "b"] * 10)
    grown, total = [()], 0.0
    for _ in range(6):
        total += np.exp(model.log_probability([list(t) for t in grown])).sum()
        grown = [(*t, word) for t in grown for word in ("a", "b", "?")]
    assert 0.9 < total < 1.0


def test_the_next_tokens_are_told_with_their_probabilities(fruit):
    pairs = fruit.predict_next("the appl", 5)
    assert pairs[0][0] == "e" and pairs[0][1] > 0.8
    assert sorted(pairs, key=lambda pair: -pair[1]) == pairs
    everything = fruit.predict_next(["the appl", "a"], 10_000)
    assert [token for token, _ in everything[0][:5]] == [token for token, _ in pairs]
    assert len(everything[1]) == fruit.vocabulary_.n_words
    np.testing.assert_allclose([sum(p for _, p in row) for row in everything], 1, atol=1e-5)
    assert fruit.predict(["the appl", "a pair of shoes"]).tolist() == ["e", ""]
    for token, p in pairs:
        np.testing.assert_allclose(np.exp(by_steps(fruit, "the appl" + token)[8]), p, atol=1e-5)


# Writing


def test_a_text_is_written_on_to_its_end(fruit):
    assert fruit.generate("the apple", temperature=0) == " and pear salad"
    assert fruit.generate("the apple", 5, temperature=0) == " and "
    assert fruit.generate("the apple", temperature=0, stop=["sal", "pear"]) == " and "
    assert fruit.generate("the apple", 0) == ""
    assert fruit.generate([]) == []
    assert fruit.generate([""], temperature=0, length=400)[0] in FRUIT
    assert fruit.generate(temperature=0) in FRUIT


def test_a_seed_makes_a_text_whatever_stands_beside_it(fruit):
    options = dict(length=30, temperature=1.5, top_k=8, top_p=0.95)
    texts = fruit.generate(["a", "the ap", "a"], seed=7, **options)
    assert texts == [fruit.generate(t, seed=7 + i, **options) for i, t in enumerate(["a", "the ap", "a"])]
    assert texts[0] != texts[2]
    assert len({fruit.generate("a", **options | {"temperature": 5.0}) for _ in range(5)}) > 1  # by chance
    for seed, prompt in enumerate(["", "the", "a pair of sho"]):
        assert "".join(fruit.stream(prompt, seed=seed, **options)) == fruit.generate(prompt, seed=seed, **options)
    tokens = list("the ap")
    assert list(fruit.stream(tokens, seed=8, **options)) == list(texts[1])
    assert fruit.generate([tokens], seed=8, **options) == [list(texts[1])]


def test_a_wider_beam_finds_what_is_no_less_likely(fruit):
    prompts = ["a p", "the", ""]
    scores = []
    for width in (1, 2, 8):
        texts = fruit.generate(prompts, 60, beam_width=width)
        scores.append(fruit.log_probability([p + t for p, t in zip(prompts, texts, strict=True)]))
    assert (np.diff(scores, axis=0) > -1e-4).all()
    assert scores[0].tolist() == pytest.approx(
        fruit.log_probability([p + fruit.generate(p, 60, temperature=0) for p in prompts]).tolist()
    )


def test_words_are_put_together_with_spaces():
    model = LanguageModel(**{**SMALL, "epochs": 40, "tokenizer": "words"}).fit(["one two three four"] * 20)
    assert model.generate("one", temperature=0) == "two three four"
    assert model.generate([["one", "two"]], temperature=0) == [["three", "four"]]
    assert model.generate([["one"]], temperature=0, stop="four") == [["two", "three"]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"length": -1}, "length=-1 must be an integer of at least 0"),
        ({"temperature": -0.1}, "temperature=-0.1 must be a number of at least 0"),
        ({"top_k": 2.5}, "top_k=2.5 must be an integer"),
        ({"top_p": 0}, "top_p=0 must be a number above 0, at most 1"),
        ({"seed": "x"}, "seed='x' must be an integer or None"),
        ({"beam_width": 0}, "beam_width=0 must be at least 1"),
    ],
)
def test_arguments_that_cannot_be(fruit, arguments, message):
    with pytest.raises(ParameterError, match=message):
        fruit.generate("a", **arguments)


def test_prompts_that_cannot_be(fruit):
    with pytest.raises(InputTypeError, match="bytes"):
        fruit.generate(b"a")
    with pytest.raises(SeqkitError, match=r"prompt\[1\]"):
        fruit.generate(["a", 3])
    with pytest.raises(ParameterError, match="k=0"):
        fruit.predict_next("a", 0)
    with pytest.raises(DataError, match="no texts"):
        fruit.score([])


# Training


def test_one_long_text_is_learned_from_and_judged_by_its_end():
    text = "abcdefgh" * 300
    model = LanguageModel(**{**SMALL, "epochs": 12, "units": 24, "steps": 8}).fit([text])
    assert model.history_["validation_loss"][-1] < 0.3
    assert model.generate("abc", 8, temperature=0) == "defghabc"
    assert "validation_loss" not in LanguageModel(**SMALL, validation_fraction=None).fit([text[:80]]).history_


def test_each_pass_is_told_with_its_own_score(capsys):
    history = LanguageModel(**{**SMALL, "verbose": 2}).fit(FRUIT).history_
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("epoch ")]
    told = [f"loss {a:.4g}  validation_loss {b:.4g}" for a, b in zip(*map(history.get, _LOSSES), strict=True)]
    assert [line.split("  ", 1)[1] for line in lines] == told


def test_what_is_held_out_can_be_given():
    model = LanguageModel(**SMALL)
    one = model.fit(FRUIT, validation_data=(FRUIT[:3], None)).history_["validation_loss"]
    other = model.fit(FRUIT, validation_data=FRUIT[:3]).history_["validation_loss"]
    assert one == other
    np.testing.assert_allclose(min(one), -model.score(FRUIT[:3]), rtol=1e-4)


@pytest.mark.parametrize("options", [{"sampled_softmax": 15}, {"tied": True}, {"cell": "gru", "layers": 2}], ids=str)
def test_other_ways_to_the_same_end(options):
    model = LanguageModel(**{**SMALL, "units": 32, "epochs": 25, **options}).fit(FRUIT)
    assert model.history_["validation_loss"][-1] < 0.8
    right, wrong = model.log_probability(["a pair of shoes", "a pear of shoes"])
    assert right > wrong


def test_gradients_can_be_clipped_by_value():
    options = {**SMALL, "optimizer": "sgd", "learning_rate": 1.0, "average_weights": False, "epochs": 1}
    options |= {"batch_size": 64, "steps": 64, "gradient_clip": None, "validation_fraction": None, "dropout": 0.0}
    before = LanguageModel(**options).fit(FRUIT[:8])
    after = LanguageModel(**options, gradient_clip_value=1e-3).fit(FRUIT[:8])
    start = LanguageModel(**{**options, "learning_rate": 1e-12}).fit(FRUIT[:8])
    moved = [
        max(np.abs(v - w).max() for v, w in zip(one.model_.get_weights(), start.model_.get_weights(), strict=True))
        for one in (before, after)
    ]
    assert moved[0] > 0.01 and 0 < moved[1] <= 1.01e-3


def test_partial_fit_goes_on():
    model = LanguageModel(**SMALL)
    for _ in range(30):
        model.partial_fit(FRUIT)
    assert len(model.history_["loss"]) == 30 and model.history_["loss"][-1] < 0.5 * model.history_["loss"][0]
    assert model.predict_next("zzz", 1)  # unknown ones are no fault
