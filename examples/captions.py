"""Images into words: two digits beside each other, told as "a three and a seven".

    python examples/captions.py

Two of scikit-learn's digits are one vector of 128 grey values, and the caption is a text: one to many, by the decoder
of an encoder-decoder whose encoder has no layers. Digits of the test images are none of those that were learned from.
"""

import numpy as np
from sklearn.datasets import load_digits

from seqkit import Seq2Seq

NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
images, digits = load_digits(return_X_y=True)


def pairs(first, last, count, seed):
    """Put digits beside each other, drawn from a part of the images; return vectors [count, 1, 128] and captions."""
    left, right = np.random.default_rng(seed).integers(first, last, (2, count))
    vectors = np.concatenate([images[left], images[right]], -1)[:, None] / 16
    return vectors, [f"a {NAMES[digits[a]]} and a {NAMES[digits[b]]}" for a, b in zip(left, right, strict=True)]


X, y = pairs(0, 1400, 12000, seed=0)
X_test, y_test = pairs(1400, 1797, 500, seed=1)
model = Seq2Seq(layers=0, attend=None, units=128, word_dim=32, epochs=30, random_state=0).fit(X, y)
for found, true in zip(model.predict(X_test[:5]), y_test, strict=False):
    print(f"{found:24} {'right' if found == true else f'is {true}'}")
print(f"{np.mean([a == b for a, b in zip(model.predict(X_test), y_test, strict=True)]):.1%} of 500 captions are right")
