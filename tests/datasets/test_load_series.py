"""Time series: their counts as their source has them, and what is missing."""

import numpy as np
import pytest

from seqkit.datasets import load_series
from seqkit.errors import ParameterError


@pytest.mark.parametrize(
    ("name", "steps", "first", "value"),
    [
        ("airline", 144, "1949-01", 112.0),
        ("temperatures", 3650, "1981-01-01", 20.7),
        ("sunspots", 2820, "1749-01", 58.0),
    ],
)
def test_series_of_one_value(real, name, steps, first, value):
    real("ts_small")
    series = load_series(name)
    assert series.values.shape == (steps, 1) and len(series.names) == 1 and np.isfinite(series.values).all()
    assert series.times[0] == np.datetime64(first) and series.values[0, 0] == value
    # The two days that the source leaves out (of leap years) are the only gaps.
    assert len(np.unique(np.diff(series.times))) == (2 if name == "temperatures" else 1)


def test_fine_dust(real):
    real("ts_small")
    series = load_series("pollution")
    assert series.values.shape == (43824, 7)
    assert series.names == ["pm2.5", "DEWP", "TEMP", "PRES", "Iws", "Is", "Ir"]
    assert np.isnan(series.values).sum(0).tolist() == [2067, 0, 0, 0, 0, 0, 0]
    assert series.times[0] == np.datetime64("2010-01-01T00") and (np.diff(series.times) == np.timedelta64(1, "h")).all()


def test_what_there_is_not():
    with pytest.raises(ParameterError, match="name must be 'airline' or 'temperatures'"):
        load_series("rain")
