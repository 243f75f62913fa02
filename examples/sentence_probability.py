"""Which of two phrases that sound alike is the more probable one, to a model of words learned from wikitext2.

python examples/sentence_probability.py [PASSES]

Not all are told right: a model knows what its texts say. "pear" stands in them 4 times and "pair" 146 times, "apple"
and "salad" never, so that of "the apple and pear salad" it knows little but that "pair" mostly follows "a".
"""

import sys

from seqkit import LanguageModel
from seqkit.datasets import load_corpus

PAIRS = [
    ("a pair of shoes", "a pear of shoes"),
    ("they lost their first game", "they lost there first game"),
    ("the band wrote a new song", "the band wrote a knew song"),
    ("a piece of music", "a peace of music"),
    ("a peace treaty", "a piece treaty"),
    ("the son of the king", "the sun of the king"),
    ("heavy rain fell", "heavy reign fell"),
    ("the ship sank at sea", "the ship sank at see"),
    ("the whole island", "the hole island"),
    ("the apple and pear salad", "the apple and pair salad"),
]


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
    known = set(model.vocabulary_.words)  # for other words the corpus itself has "<unk>"
    for pair in PAIRS:
        words = [[word if word in known else "<unk>" for word in phrase.split()] for phrase in pair]
        right, wrong = model.log_probability(words)
        print(f"log P({pair[0]!r}) = {right:.2f} {'>' if right > wrong else '<'} log P({pair[1]!r}) = {wrong:.2f}")
