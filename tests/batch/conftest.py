"""Small models that are fitted once."""

import pytest
from estimator_examples import first_example

from seqkit.estimators import all_estimators


@pytest.fixture(scope="session")
def saved(tmp_path_factory):
    """Return a function from the name of an estimator to the folder of a small one."""
    folder, classes = tmp_path_factory.mktemp("models"), dict(all_estimators())

    def make(name: str):
        path = folder / name
        if not path.is_dir():
            example = first_example(name)
            classes[name](**example.parameters).fit(example.X, example.y).save(path)
        return path

    return make
