"""Reads the catalogue's time series."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, NamedTuple

from seqkit.datasets.catalogue import check_name_and_split
from seqkit.datasets.fetch import find, stored_file

if TYPE_CHECKING:
    import numpy as np

_FILES = {
    "airline": "airline-passengers.csv",
    "temperatures": "daily-min-temperatures.csv",
    "sunspots": "monthly-sunspots.csv",
    "pollution": "pollution.csv",
}
_CALENDAR = ("year", "month", "day", "hour")
_NO_NUMBERS = ("No", "cbwd")  # the row's number, and the direction of the wind by name


class Series(NamedTuple):
    """Values over time: times datetime64 [steps], values float64 [steps, columns], NaN where missing; their names."""

    times: np.ndarray
    values: np.ndarray
    names: list[str]


def load_series(name: str) -> Series:
    """Read a time series of the public set ``ts_small``.

    Parameters
    ----------
    name : {"airline", "temperatures", "sunspots", "pollution"}
        Monthly passengers 1949 to 1960; daily minimum temperatures of Melbourne 1981 to 1990; monthly sunspots 1749 to
        1983; hourly fine dust (PM2.5) and weather of Beijing 2010 to 2014, seven columns with "pm2.5" first.

    Returns
    -------
    Series

    Raises
    ------
    ParameterError
        If there is no such series.
    DataError
        If the data is not here and cannot be downloaded.
    """
    check_name_and_split(name, tuple(_FILES), "all", ("all",), "Series have names of their own.")
    import numpy as np

    with open(stored_file(find("ts_small"), _FILES[name]), newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    names = [column for column in rows[0] if column not in (*_CALENDAR, *_NO_NUMBERS)]
    if "year" in rows[0]:
        times = ["{}-{:0>2}-{:0>2}T{:0>2}".format(*(row[part] for part in _CALENDAR)) for row in rows]
    else:
        time, *names = names
        times = [row[time] for row in rows]
    values = [[np.nan if row[column] == "NA" else float(row[column]) for column in names] for row in rows]
    return Series(np.array(times, "datetime64"), np.array(values), names)
