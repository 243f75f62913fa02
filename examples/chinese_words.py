"""A language model of Chinese words, as jieba cuts them (pip install jieba), learned from hotel reviews.

python examples/chinese_words.py [PASSES]
"""

import sys

import jieba

from seqkit import LanguageModel
from seqkit.datasets import load_texts

if __name__ == "__main__":
    texts = [jieba.lcut(text) for text in load_texts("chnsenticorp_htl", "all")[0]]
    model = LanguageModel(
        units=256, word_dim=128, tied=True, min_count=3, epochs=int((sys.argv[1:] or [5])[0]), random_state=0, verbose=2
    )
    model.fit([words for i, words in enumerate(texts) if i % 10])
    print(f"perplexity of a word in other reviews: {model.perplexity(texts[::10]):.1f}")
    for begin in ("房间", "服务", "早餐"):
        print(begin + "".join(model.generate([[begin]], length=20, temperature=0.7, seed=0)[0]))
