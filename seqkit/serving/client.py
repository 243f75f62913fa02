"""A client of TensorFlow Serving, or of `seqkit.serving.Server`: answers as Python values."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from seqkit.errors import InputTypeError, ParameterError, ServingError
from seqkit.export.answers import rows_of
from seqkit.export.requests import generate_request, predict_request
from seqkit.export.runtime import TensorSpec, as_input
from seqkit.serving.transports import Transport, transport_to

_URL = re.compile(
    r"(?P<scheme>https?|grpcs?)://(?P<host>[^/]+)(?:/v1/models)?/(?P<name>[^/:]+)"
    r"(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?/?"
)
#: What says that a request may be tried again: the server was not there, or had too much to do.
_TRY_AGAIN = ("UNAVAILABLE", "RESOURCE_EXHAUSTED")
_LONGEST_PAUSE = 5.0
_Answer = TypeVar("_Answer")


class Client:
    """Asks a model of a server. May be used by many threads at once.

    Parameters
    ----------
    url : str
        The model: ``"http://localhost:8501/v1/models/ner"`` (REST) or ``"grpc://localhost:8500/ner"``; ``https`` and
        ``grpcs`` are encrypted. With ``/versions/3`` or ``/labels/stable`` behind it, that version; else the latest.
    timeout : float, default=10.0
        Most seconds that one try may take.
    retries : int, default=5
        How often a request is tried again where the server cannot be reached, or says that it is not available; the
        pauses between are 0.1 s, 0.2 s, 0.4 s, … and somewhat random, at most 5 s.
    batch_size : int, default=64
        Most rows of one request; more go in several. A server that batches refuses requests larger than its batches.

    Examples
    --------
    >>> client = Client("http://localhost:8501/v1/models/ner")
    >>> client.predict(["Amara Okonjo flew to Lisbon."])[0]["entities"]  # doctest: +SKIP
    [{'start': 0, 'end': 12, 'text': 'Amara Okonjo', 'label': 'PER', 'score': 0.98}, …]
    """

    def __init__(self, url: str, *, timeout: float = 10.0, retries: int = 5, batch_size: int = 64):
        found = _URL.fullmatch(url)
        if found is None:
            raise ParameterError(
                f"url must name a server and a model, such as 'http://localhost:8501/v1/models/ner' or "
                f"'grpc://localhost:8500/ner'; got {url!r}."
            )
        for name, value, least in (("timeout", timeout, 0.001), ("retries", retries, 0), ("batch_size", batch_size, 1)):
            if not value >= least:
                raise ParameterError(f"{name} must be at least {least}; got {value!r}.")
        self.url, self.retries, self.batch_size = url, retries, batch_size
        version = int(found["version"]) if found["version"] else None
        self._transport: Transport = transport_to(
            found["scheme"], found["host"], found["name"], version, found["label"], timeout
        )
        self._signatures: dict[str, dict[str, dict[str, TensorSpec]]] | None = None

    @property
    def signatures(self) -> dict[str, dict[str, dict[str, TensorSpec]]]:
        """What the model can be asked: ``{name: {"inputs": {name: TensorSpec}, "outputs": …}}``."""
        if self._signatures is None:
            self._signatures = self._patiently(self._transport.signatures)
        return self._signatures

    def status(self) -> list[dict[str, Any]]:
        """Return the versions of the model that the server knows: ``version``, ``state`` and ``message`` of each."""
        return self._patiently(self._transport.status)

    def predict(self, X: Sequence) -> list[dict[str, Any]]:
        """Return what the model says of each sequence.

        Parameters
        ----------
        X : sequence of str, of list of str, or of array-like (length, d)
            Texts, tokens or vectors, whichever the model reads; trees in brackets are texts.

        Returns
        -------
        list of dict
            As `seqkit.export.answers.rows_of` has them: of a tagger ``tags``, ``scores`` and ``entities`` with their
            places in the text; of a classifier ``label`` and ``probabilities`` by class; and so on.

        Raises
        ------
        ServingError
            If the server does not answer. Its ``code`` says why.
        """
        X = list(X) if not isinstance(X, str | bytes) else _refused(X)
        rows: list[dict[str, Any]] = []
        for i in range(0, len(X), self.batch_size):
            some = X[i : i + self.batch_size]
            signature, inputs = predict_request(self.signatures, some)
            outputs = self.run(signature, inputs)
            asked = some if "tags" in outputs and {"text", "tokens"} & set(inputs) else None
            rows += rows_of(_about(outputs), outputs, asked)
        return rows

    def generate(
        self,
        prompts: Sequence | None = None,
        context: Sequence | None = None,
        *,
        max_length: int | Sequence[int] = 100,
        temperature: float | Sequence[float] = 1.0,
        top_k: int | Sequence[int] = 0,
        top_p: float | Sequence[float] = 1.0,
        seed: int | Sequence[int] | None = None,
    ) -> list[dict[str, Any]]:
        """Let the model write: a language model, or a generator.

        Parameters
        ----------
        prompts : sequence or None, default=None
            What each row goes on from: texts, lists of tokens, or arrays of frames; None for one row from nothing, or
            one for each context.
        context : sequence or None, default=None
            Of a generator with styles, the style of each row; with vectors, arrays of size d.
        max_length, temperature, top_k, top_p : number, or one for each row
            As ``generate`` of the estimator has them: a temperature of 0 takes the likeliest each time, a ``top_k`` of
            0 and a ``top_p`` of 1 leave nothing out.
        seed : int, one for each row, or None, default=None
            One seed gives the same row again; of one number, row i has ``seed + i``. None for another each time.

        Returns
        -------
        list of dict
            ``text``, ``tokens`` or ``frames``, and ``log_probability``.
        """
        settings = {"max_length": max_length, "temperature": temperature, "top_k": top_k, "top_p": top_p, "seed": 0}
        request = generate_request(self.signatures, prompts, context, settings)
        count = len(request["seed"])
        first = random.getrandbits(31) if seed is None else seed
        request["seed"] = np.asarray(first, np.int64) + (np.arange(count) if np.ndim(first) == 0 else 0)
        rows: list[dict[str, Any]] = []
        for i in range(0, count, self.batch_size):
            outputs = self.run("generate", {k: v[i : i + self.batch_size] for k, v in request.items()})
            rows += rows_of({"task": "generation"}, outputs)
        return rows

    def run(self, signature: str, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Ask a signature with tensors, and return those that it answers; strings are bytes."""
        if signature not in self.signatures:
            raise ParameterError(f"The model has no signature {signature!r}; it has {', '.join(self.signatures)}.")
        specs = self.signatures[signature]
        if set(inputs) != set(specs["inputs"]):
            raise ParameterError(
                f"The signature {signature!r} takes the inputs {', '.join(specs['inputs'])}; got {', '.join(inputs)}."
            )
        arrays = {name: as_input(name, spec, inputs[name]) for name, spec in specs["inputs"].items()}
        return self._patiently(lambda: self._transport.run(signature, arrays, specs["outputs"]))

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def __enter__(self) -> Client:
        """Return itself."""
        return self

    def __exit__(self, *_):
        """Close the connections."""
        self.close()

    def _patiently(self, ask: Callable[[], _Answer]) -> _Answer:
        """Ask; where the server is not available, ask again after a while."""
        for turn in range(self.retries + 1):
            try:
                return ask()
            except ServingError as error:
                if turn == self.retries or error.code not in _TRY_AGAIN:
                    raise ServingError(f"{self.url}: {error}", error.code) from error
            # Clients that were refused at the same moment must not come back at the same moment.
            time.sleep(min(0.1 * 2**turn, _LONGEST_PAUSE) * random.uniform(0.5, 1.0))
        raise AssertionError("unreachable")


def _refused(X: object) -> list:
    raise InputTypeError(f"X must be a list of sequences, got one string {X!r:.60}. Wrap it in a list: [X].")


def _about(outputs: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return what the manifest would say of a model, by what it answers; a server tells no more."""
    names = set(outputs)
    if {"tags", "lengths"} <= names:
        from seqkit.tags import OTHER, split_tag

        known = {tag for tag in outputs["tags"].ravel() if tag}
        of_entities = all(split_tag(_text(tag))[0] != OTHER for tag in known)
        # Spans are read alike in every scheme.
        return {"task": "tagging", "scheme": "iob2" if of_entities else None}
    if "probabilities" in names:
        return {"task": "classification"}
    if "token_log_probabilities" in names:
        return {"task": "language_model"}
    if "scores" in names or {"value", "lengths"} <= names:
        return {"task": "seq2seq"}
    return {"task": "regression" if "value" in names else None}


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
