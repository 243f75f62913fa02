"""Small fits for the tests of several devices and workers; run as a program, each process says what it learned.

python strategy_fits.py workers INDEX PORT FOLDER NAME ...    # as one of two workers; "broken": worker 1 is killed
python strategy_fits.py mirrored DEVICES FOLDER               # on virtual devices, beside one device
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from pathlib import Path

import numpy as np

_WORDS = ["the", "cat", "sat", "on", "a", "mat", "and", "the", "dog", "ran"]
_RANDOM = random.Random(0)
TEXTS = [[_RANDOM.choice(_WORDS) for _ in range(_RANDOM.randint(1, 7))] for _ in range(27)]
_WEIGHTS = [1 + i % 3 for i in range(len(TEXTS))]
_HAS_CAT = ["cat" in text for text in TEXTS]

# Plain steps without noise: what several devices learn is then what one learns.
_STEPS = {"optimizer": "sgd", "learning_rate": 0.2, "dropout": 0.0, "random_state": 0, "verbose": 0}
_SMALL = {**_STEPS, "units": 4, "word_dim": 4, "epochs": 2, "batch_size": 4, "validation_fraction": 0.2}
_READER = {**_SMALL, "cell": "elman", "bidirectional": False, "word_dropout": 0.0}


def fit(name: str, **more):
    """Fit an estimator by its name here."""
    import seqkit

    if name == "classifier":
        model = seqkit.SequenceClassifier(**_READER, class_weight="balanced", **more)
        return model.fit(TEXTS, _HAS_CAT, sample_weight=_WEIGHTS)
    if name == "broken":
        momentum = {"class_name": "SGD", "config": {"learning_rate": 0.1, "momentum": 0.5}}
        model = seqkit.SequenceClassifier(**{**_READER, "optimizer": momentum, "epochs": 4, "ngrams": 0}, **more)
        return model.fit(TEXTS, _HAS_CAT)
    if name == "tagger":
        model = seqkit.SequenceTagger(**{**_READER, "char_units": 3}, **more)
        return model.fit(TEXTS, [["B-A" if word == "cat" else "O" for word in text] for text in TEXTS])
    if name == "language model":
        # A vocabulary of which no batch has all: rows of sparse gradients are those of several workers.
        model = seqkit.LanguageModel(**{**_SMALL, "optimizer": "adam"}, tokenizer="words", steps=3, **more)
        return model.fit([" ".join(text) for text in TEXTS])
    raise KeyError(name)


def several(name: str, **more):
    """Fit the first example of an estimator class."""
    from estimator_examples import CLASSES, first_example

    example = first_example(name)
    parameters = {**example.parameters, **_STEPS, "epochs": 2}
    if "word_dropout" in parameters or hasattr(CLASSES[name](), "word_dropout"):
        parameters["word_dropout"] = 0.0
    return CLASSES[name](**parameters, **more).fit(example.X, example.y)


def tell(folder: str, name: str, estimator) -> None:
    """Write weights and history."""
    history = {k: v for k, v in estimator.history_.items() if k not in ("seconds", "elapsed", "tokens_per_second")}
    np.savez(Path(folder) / name, *estimator.model_.get_weights(), history=json.dumps(history))


def _work(index: str, port: str, folder: str, *names: str) -> None:
    workers = [f"127.0.0.1:{int(port) + i}" for i in range(2)]
    task = {"type": "worker", "index": int(index)}
    os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": workers}, "task": task})
    from seqkit.errors import TrainingError
    from seqkit.training.loop import TrainingLoop

    for name in names:
        more = {"strategy": "multi_worker"}
        if name in ("broken", "resumed"):  # worker 1's disk is not that of worker 0
            more["checkpoint_dir"] = Path(folder) / f"state of {index}"
        if name == "broken":
            original = TrainingLoop._epoch

            def epoch(self, number, original=original):
                if number == 2 and index == "1":
                    os.kill(os.getpid(), signal.SIGKILL)
                return original(self, number)

            TrainingLoop._epoch = epoch
        try:
            tell(folder, f"{name} {index}", fit("broken" if name == "resumed" else name, **more))
        except TrainingError as error:
            (Path(folder) / f"error {index}").write_text(str(error))


def _mirror(devices: str, folder: str, *names: str) -> None:
    import tensorflow as tf

    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * int(devices))
    for name in names:
        for kind, strategy in (("one", None), ("several", "mirrored")):
            tell(folder, f"{name} {kind}", several(name, strategy=strategy))


if __name__ == "__main__":
    {"workers": _work, "mirrored": _mirror}[sys.argv[1]](*sys.argv[2:])
