"""How near written sequences come to what they were to be: texts, tokens and vectors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from seqkit.errors import DataError, require


def text_scores(references: Sequence[str], hypotheses: Sequence[str], weights=None) -> dict[str, float]:
    """Return chrF2 (Popović 2015) and BLEU (Papineni et al. 2002) of texts, by sacrebleu with its defaults.

    Parameters
    ----------
    references, hypotheses : sequence of str
        What was to be written, and what was.
    weights : array of shape (n,), optional
        Weight of each text; what is returned is then the weighted mean of the scores of single texts.

    Returns
    -------
    dict of float
        "chrf" and "bleu", from 0 to 1.
    """
    sacrebleu = require("sacrebleu", extra="translation", why="chrF and BLEU")
    references, hypotheses = list(references), list(hypotheses)
    _check_lengths(references, hypotheses)
    if weights is None:
        chrf = sacrebleu.corpus_chrf(hypotheses, [references]).score
        bleu = sacrebleu.corpus_bleu(hypotheses, [references]).score
    else:
        pairs = list(zip(hypotheses, references, strict=True))
        chrf = np.average([sacrebleu.sentence_chrf(h, [r]).score for h, r in pairs], weights=weights)
        bleu = np.average([sacrebleu.sentence_bleu(h, [r]).score for h, r in pairs], weights=weights)
    return {"chrf": float(chrf) / 100, "bleu": float(bleu) / 100}


def token_errors(
    references: Sequence[Sequence[Sequence[str]]], hypotheses: Sequence[Sequence[str]], weights=None
) -> dict[str, float]:
    """Return error rates of lists of tokens.

    Parameters
    ----------
    references : sequence of sequences of lists of tokens
        For each hypothesis all lists that are right; the nearest counts, of those the longest.
    hypotheses : sequence of lists of tokens
        What was written.
    weights : array of shape (n,), optional
        Weight of each.

    Returns
    -------
    dict of float
        "token_error_rate": edits (Levenshtein 1966) for a token of the references; "sequence_error_rate": share of
        hypotheses with any.
    """
    references, hypotheses = [list(map(list, row)) for row in references], list(map(list, hypotheses))
    _check_lengths(references, hypotheses)
    if not references:
        raise DataError("references is empty: there is nothing to score.")
    counts = [len(row) for row in references]
    if not all(counts):
        raise DataError(f"references[{counts.index(0)}] is empty: give one list of tokens at least.")
    flat = [tokens for row in references for tokens in row]
    asked = [tokens for tokens, n in zip(hypotheses, counts, strict=True) for _ in range(n)]
    edits, lengths = edit_distances(flat, asked), np.array([len(tokens) for tokens in flat])
    of = np.repeat(np.arange(len(counts)), counts)
    order = np.lexsort((-lengths, edits, of))
    best = order[np.unique(of[order], return_index=True)[1]]
    weights = np.ones(len(counts)) if weights is None else np.asarray(weights, float)
    total = float(np.dot(weights, lengths[best]))
    return {
        "token_error_rate": float(np.dot(weights, edits[best])) / (total or 1.0),
        "sequence_error_rate": float(np.average(edits[best] > 0, weights=weights)),
    }


def edit_distances(references: Sequence[Sequence[str]], hypotheses: Sequence[Sequence[str]]) -> np.ndarray:
    """Return how many tokens must be put in, left out or replaced to make each reference of its hypothesis."""
    import tensorflow as tf

    if not len(references):
        return np.zeros(0, int)
    rows = [tf.ragged.constant(list(map(list, side)), tf.string, ragged_rank=1) for side in (hypotheses, references)]
    lengths = [row.row_lengths().numpy() for row in rows]
    found = tf.edit_distance(*(row.to_sparse() for row in rows), normalize=False).numpy()
    # The op leaves out rows at the end, and calls the distance to an empty reference infinite.
    edits = np.zeros(len(references))
    edits[: len(found)] = found[: len(edits)]
    return np.where(lengths[1] == 0, lengths[0], np.where(lengths[0] == 0, lengths[1], edits)).astype(int)


def vector_scores(references: Sequence[np.ndarray], hypotheses: Sequence[np.ndarray], weights=None) -> dict[str, float]:
    """Return R² and mean absolute error of vectors, step by step, by scikit-learn.

    Parameters
    ----------
    references, hypotheses : sequence of array (length, d)
        What was to come, and what was said; of equal lengths.
    weights : array of shape (n,), optional
        Weight of each sequence.

    Returns
    -------
    dict of float
        "r2" and "mean_absolute_error".
    """
    from sklearn.metrics import mean_absolute_error, r2_score

    _check_lengths(references, hypotheses)
    of_each = None if weights is None else np.repeat(weights, [len(row) for row in references])
    true, found = np.concatenate(list(references)), np.concatenate(list(hypotheses))
    return {
        "r2": float(r2_score(true, found, sample_weight=of_each)),
        "mean_absolute_error": float(mean_absolute_error(true, found, sample_weight=of_each)),
    }


def _check_lengths(references: Sequence, hypotheses: Sequence) -> None:
    if len(references) != len(hypotheses):
        raise DataError(f"references and hypotheses have lengths {len(references)} and {len(hypotheses)}.")
