"""What the tests of data sets share."""

import pytest

from seqkit.datasets import find, stored_file
from seqkit.errors import DataError


@pytest.fixture
def real():
    """Skip where a public set is not on the machine: tests download nothing."""

    def check(name, *files):
        try:
            folder = find(name, download=False)
            for file in files:
                stored_file(folder, file)
        except DataError as error:
            pytest.skip(str(error))

    return check
