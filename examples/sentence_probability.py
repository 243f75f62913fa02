"""Which of two sentences is the more probable one, to a model of words learned from wikitext2.

python examples/sentence_probability.py [PASSES]
"""

import sys

from seqkit import LanguageModel
from seqkit.datasets import load_corpus

SENTENCES = ["the apple and pear salad", "the apple and pair salad"]


if __name__ == "__main__":
    model = LanguageModel(
        units=512,
        word_dim=256,
        tied=True,
        dropout=0.4,
        steps=35,
        batch_size=32,
        epochs=int((sys.argv[1:] or [2])[0]),
        random_state=0,
        verbose=2,
    )
    model.fit([load_corpus("wikitext2", "train")], validation_data=[load_corpus("wikitext2", "dev")])
    for sentence, value in zip(SENTENCES, model.log_probability([s.split() for s in SENTENCES]), strict=True):
        print(f"log P({sentence!r}) = {value:.2f}")
