"""Why a text got its class: what each token adds to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np

from seqkit.errors import InputTypeError

_TOKENS_AT_ONCE = 1_000_000  # in a call of the model: bounds memory


def leave_one_out(classifier, X) -> list[dict]:
    """Say how much each token speaks for the class that a text got.

    A token's score is ``log p(class | text) - log p(class | text without the token)``: above 0 it speaks for the class,
    below 0 against it. It is measured on the model's own answers, whatever the network is (Li et al. 2016).

    Parameters
    ----------
    classifier : seqkit.SequenceClassifier
        Fitted on texts or tokens, one class each.
    X : list of str or list of list of str
        What to explain.

    Returns
    -------
    list of dict
        For each: ``tokens``, ``label``, ``probability``, and ``scores`` (ndarray, one for each token). For raw strings
        also ``text``, ``starts`` and ``ends`` (character offsets of the tokens).

    References
    ----------
    J. Li, W. Monroe and D. Jurafsky, "Understanding neural networks through representation erasure", 2016.
    """
    from seqkit.text.tokenizer import tokenize_texts

    if isinstance(X, str | bytes):
        raise InputTypeError(f"X must be a list of texts or of token lists, got one string {X!r:.60}. Wrap it: [X].")
    kinds = getattr(classifier, "input_kind_", "tokens"), getattr(classifier, "target_kind_", "one")
    if kinds != ("tokens", "one") or not hasattr(classifier, "tokenizer"):  # those of trees cut no texts
        raise InputTypeError("Only classifiers of texts or tokens, with one class for each, can be explained.")
    items = list(X)
    cuts = iter(tokenize_texts([item for item in items if isinstance(item, str)], classifier.tokenizer))
    results = []
    for item in items:
        if isinstance(item, str):
            cut = next(cuts)
            results.append({"text": item, "starts": cut.starts, "ends": cut.ends, "tokens": cut.tokens})
        else:
            results.append({"tokens": list(item)})
    # The texts' variants go through the model together: a call for each text would cost more than its answer.
    variants = (variant for found in results for variant in _variants(found["tokens"]))
    rows = (row for batch in _batches(variants) for row in classifier.predict_proba(batch))
    for found in results:
        probabilities = np.stack(list(islice(rows, len(found["tokens"]) + 1)))
        label = int(np.argmax(probabilities[0]))
        logarithms = np.log(np.maximum(probabilities[:, label], 1e-12))
        found |= {
            "label": classifier.classes_[label],
            "probability": float(probabilities[0, label]),
            "scores": logarithms[0] - logarithms[1:],
        }
    return results


def _variants(tokens: list[str]) -> Iterator[list[str]]:
    """Yield the whole first, then what is left without each token."""
    yield tokens
    for i in range(len(tokens)):
        yield tokens[:i] + tokens[i + 1 :]


def _batches(variants: Iterable[list[str]]) -> Iterator[list[list[str]]]:
    """Cut a stream of token lists where enough tokens have come: there are as many as a text's length, squared."""
    batch, size = [], 0
    for variant in variants:
        batch.append(variant)
        size += len(variant) + 1
        if size >= _TOKENS_AT_ONCE:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
