"""Why a text got its class: what each token adds to it."""

from __future__ import annotations

import numpy as np

from seqkit.errors import InputTypeError


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
    if getattr(classifier, "input_kind_", "tokens") != "tokens" or getattr(classifier, "target_kind_", "one") != "one":
        raise InputTypeError("Only classifiers of texts or tokens, with one class for each, can be explained.")
    results = []
    for item in X:
        found = {}
        if isinstance(item, str):
            (cut,) = tokenize_texts([item], classifier.tokenizer)
            found = {"text": item, "starts": cut.starts, "ends": cut.ends}
            item = cut.tokens
        tokens = list(item)
        # The whole first, then without each token.
        variants = [tokens, *(tokens[:i] + tokens[i + 1 :] for i in range(len(tokens)))]
        probabilities = classifier.predict_proba(variants)
        label = int(np.argmax(probabilities[0]))
        logarithms = np.log(np.maximum(probabilities[:, label], 1e-12))
        found |= {
            "tokens": tokens,
            "label": classifier.classes_[label],
            "probability": float(probabilities[0, label]),
            "scores": logarithms[0] - logarithms[1:],
        }
        results.append(found)
    return results
