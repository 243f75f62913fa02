"""What every estimator does alike: parameters, seeds, the fit loop, pickling, saving."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.validation import check_is_fitted

from seqkit.errors import ParameterError


class BaseSequenceEstimator(BaseEstimator):
    """Base of the estimators.

    A subclass assigns its parameters in ``__init__``, lists what they may be in ``_parameter_constraints``, and keeps
    the fitted ``keras.Model`` in ``model_``, which its ``_build_model`` can make again from ``_model_config``. What
    else is fitted and plain is named in ``_plain_state``.
    """

    #: Fitted attributes that go to JSON as they are.
    _plain_state: tuple[str, ...] = ()
    #: Fitted attributes that hold vocabularies of tokens.
    _vocabularies: tuple[str, ...] = ("vocabulary_",)
    #: The fitted attribute with classes, which are saved with their types.
    _labels = "classes_"

    def _check_parameters(self) -> None:
        try:
            self._validate_params()
        except InvalidParameterError as error:
            raise ParameterError(str(error)) from None

    def _draw_seed(self) -> int:
        return self._devices().from_chief(lambda: int(check_random_state(self.random_state).randint(2**20)))

    def _devices(self):
        """Return what trains: one device or several; see `seqkit.training.strategies`."""
        from seqkit.training.strategies import devices_of

        return devices_of(getattr(self, "strategy", None))

    def _progress(self, prefix: str = ""):
        """Return what makes progress bars, after ``verbose``."""
        from seqkit.console import progress

        if not self._devices().is_chief:
            return lambda total, description: progress(total, prefix + description, enabled=False)
        enabled = {"auto": "auto", 0: False, 1: True, 2: "lines"}[self.verbose]
        return lambda total, description: progress(total, prefix + description, enabled=enabled)

    def _batch_rows(self, rows: np.ndarray) -> int:
        """Return how many of these training rows go into one step."""
        return self.batch_size

    def _check_fitted(self) -> None:
        check_is_fitted(self, "model_")

    def _build_model(self):
        """Make the Keras model of ``_model_config``, with fresh weights."""
        raise NotImplementedError

    def _set_model(self, model) -> None:
        """Take a model; what was made for the one before (graph functions, an optimizer) goes."""
        self.model_ = model
        self._live = {}

    def _once(self, key, make):
        """Return what ``make()`` makes of the present model, made once."""
        made = self._live.setdefault("made", {})
        if key not in made:
            made[key] = make()
        return made[key]

    def _token_graph(self):
        """Return the graph from tokens to ids."""
        from seqkit.text.features import TokenGraph

        return self._once("token graph", lambda: TokenGraph(self.vocabulary_))

    def _parameters_to_save(self) -> dict:
        """Return parameters as a saved estimator is to have them."""
        return self.get_params(deep=False)

    def _manifest(self) -> dict:
        """Describe the fitted estimator: versions, data, metrics."""
        from seqkit.estimators.persistence import manifest

        return manifest(self)

    # Pickling, copying: configuration and weights, no live graph.

    def __getstate__(self):
        """Return a state without live TensorFlow objects."""
        state = dict(super().__getstate__())
        model = state.pop("model_", None)
        state.pop("_live", None)
        if model is not None:
            state["_weights"] = [np.asarray(v) for v in model.get_weights()]
        return state

    def __setstate__(self, state):
        """Rebuild the model from its configuration."""
        weights = state.pop("_weights", None)
        super().__setstate__(state)
        if weights is not None:
            self._set_model(self._build_model())
            self.model_.set_weights(weights)

    def save(self, folder: str | os.PathLike) -> Path:
        """Save the fitted estimator as a folder of JSON and weights.

        Parameters
        ----------
        folder : str or os.PathLike
            Is made, or replaced if it holds a saved estimator. Written beside and renamed: whole or not at all.

        Returns
        -------
        pathlib.Path
            The folder.
        """
        from seqkit.estimators.persistence import save

        self._check_fitted()
        return save(self, folder)

    @classmethod
    def load(cls, folder: str | os.PathLike):
        """Load an estimator that `save` wrote. Runs no code from the folder.

        Parameters
        ----------
        folder : str or os.PathLike
            The folder.

        Returns
        -------
        estimator
        """
        from seqkit.estimators.persistence import load

        return load(folder, expected=cls)
