"""A generator's export: what its single steps write is what it writes at once."""

import numpy as np
import pytest
import tensorflow as tf

from seqkit import SequenceGenerator

SCALE = np.eye(5, dtype=int)
SMALL = {"units": 8, "epochs": 5, "verbose": 0, "random_state": 0, "learning_rate": 0.02, "batch_size": 4}


def served(generator, folder):
    generator.export(folder)
    return tf.saved_model.load(str(folder / "1")).signatures


def settings(rows, length):
    return {
        "max_length": tf.fill([rows], length),
        "seed": tf.range(rows, dtype=tf.int64) + 7,
        "temperature": tf.fill([rows], 1.0),
        "top_k": tf.fill([rows], 0),
        "top_p": tf.fill([rows], 1.0),
    }


def test_frames_drawn_step_by_step_are_those_of_generate(tmp_path):
    generator = SequenceGenerator(**SMALL, head="nade", head_units=4, halting=None)
    generator.fit(["up", "down"] * 10, [SCALE, SCALE[::-1]] * 10)
    signatures = served(generator, tmp_path)
    assert set(signatures) == {"serving_default", "generate", "begin", "step"}
    context = tf.constant(["down", "up", "down"])
    given = {"context": context, "prompt": tf.zeros([3, 0, 5]), "prompt_lengths": tf.zeros([3], tf.int32)}
    how = settings(3, 6)
    whole = signatures["generate"](**given, **how)["frames"].numpy()
    np.testing.assert_array_equal(signatures["serving_default"](**given, **how)["frames"], whole)
    begun = signatures["begin"](**given)
    frame, state, context = begun["frame"], begun["state"], begun["context_vector"]
    for t in range(6):
        answer = signatures["step"](
            frame=frame, state=state, context=context, position=tf.fill([3], t), seed=how["seed"],
            temperature=how["temperature"],
        )  # fmt: skip
        frame, state = answer["next_frame"], answer["state"]
        np.testing.assert_array_equal(frame, whole[:, t])
    assert len(np.unique(whole.reshape(-1, 5), axis=0)) > 2


@pytest.mark.parametrize("halting", ["bernoulli", None])
def test_steps_say_how_likely_keys_and_the_end_are(halting, tmp_path):
    generator = SequenceGenerator(**SMALL, head="bernoulli", halting=halting).fit(None, [SCALE, SCALE[::-1]] * 10)
    signatures = served(generator, tmp_path)
    prompt = tf.constant(SCALE[None, :2], tf.float32)
    begun = signatures["begin"](prompt=prompt, prompt_lengths=tf.constant([2]))
    answer = signatures["step"](frame=begun["frame"], state=begun["state"])
    found = generator.log_probability(None, [SCALE[:3]], per_item=True)[0][2]
    logits = answer["logits"].numpy()[0]
    expected = np.where(SCALE[2] > 0, -np.log1p(np.exp(-logits)), -np.log1p(np.exp(logits))).sum()
    if halting:
        expected -= np.log1p(np.exp(-answer["halt_logits"].numpy()[0]))  # it does end there
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_a_style_that_is_not_known_has_no_state_and_no_sequence(tmp_path):
    generator = SequenceGenerator(**SMALL, word_dim=4).fit(["f", "m"] * 10, ["Ada", "Bob"] * 10)
    signatures = served(generator, tmp_path)
    given = {"context": tf.constant(["f", "x"]), "prompt": tf.constant(["A", "A"])}
    answer = signatures["serving_default"](**given, **settings(2, 5))
    assert answer["text"].numpy()[1] == b"" and np.isnan(answer["log_probability"].numpy()).tolist() == [False, True]
    assert np.isnan(signatures["begin"](**given)["state"].numpy()).all(1).tolist() == [False, True]
