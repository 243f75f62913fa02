"""A character RNN of one Elman layer, after Andrej Karpathy's "The unreasonable effectiveness of recurrent networks".

python examples/char_rnn.py TEXT.txt
"""

import sys
from pathlib import Path

import keras

from seqkit import LanguageModel


def char_rnn(**options) -> LanguageModel:
    """Return the recipe: 100 units, one-hot input, 25 steps with the state carried, Adagrad, gradients cut at ±5."""
    return LanguageModel(
        cell="elman",
        units=100,
        word_dim=None,
        steps=25,
        batch_size=1,
        # His loss is the sum over 25 steps, this one their mean: so ±5 is ±5/25 here, and 1e-8 of squares 1e-8/25².
        gradient_clip=None,
        gradient_clip_value=5 / 25,
        optimizer=keras.optimizers.Adagrad(0.1, initial_accumulator_value=0.0, epsilon=1e-8 / 25**2),
        dropout=0.0,
        average_weights=False,
        validation_fraction=None,
        **options,
    )


if __name__ == "__main__":
    text = Path(sys.argv[1]).read_text(encoding="utf-8")
    model = char_rnn(epochs=1, random_state=0, verbose=2).fit([text])
    print(model.generate(length=400, seed=0))
