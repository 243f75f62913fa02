"""Forecasts 24 steps ahead: Seq2Seq beside seasonal naive and exponential smoothing (ETS), by MASE.

    python benchmarks/forecasts.py [sunspots pollution] [--seeds 0] [--dev] [--set name=value ...]

The last tenth of a series is test, the tenth before it dev. A forecast is made from every 25th step of a part (so from
all hours of a day in turn), of the 24 steps that follow, by what is known there. MASE (Hyndman & Koehler 2006) is the
mean absolute error in units of that of the seasonal naive forecast one season back over the training part; the season
is 24 hours for fine dust and 132 months (a solar cycle is about eleven years) for sunspots. The settings and the pass
are chosen on dev; test is read once.

- seasonal naive: what was one season ago; and naive: the last value.
- ETS: statsmodels' ETSModel, of additive error with trend none, additive or damped, and season none or of 24 steps
  (fine dust), the one of smallest AICc on the training part; it goes on with the smoothing parameters found there.

Missing hours of fine dust count in no error; where a model reads them they are the last value known, and a column of
its own says so. Seq2Seq reads the weather and the hour beside fine dust, and its pass is chosen on dev; the others read
the series alone.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
import time
import warnings
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

if __package__ in (None, ""):  # run as a file: make `benchmarks` and an uninstalled `seqkit` importable
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.text_quality import parse_settings
from seqkit import Seq2Seq
from seqkit.datasets import load_series

AHEAD = 24


class Task(NamedTuple):
    """What is read before a forecast, and the season of the naive one."""

    window: int
    season: int
    ets_season: int | None
    settings: dict


TASKS = {
    "sunspots": Task(264, 132, None, {"units": 64, "epochs": 60, "patience": 8}),
    "pollution": Task(72, 24, 24, {"units": 64, "epochs": 30, "patience": 4}),
}


class Data(NamedTuple):
    """A series: what is to be told [steps], whether it is known, what is read [steps, columns], where parts begin."""

    values: np.ndarray
    known: np.ndarray
    inputs: np.ndarray
    starts: dict[str, int]


def load(name: str) -> Data:
    """Read a series and fill its gaps by the last value known."""
    series = load_series(name)
    values, known = series.values.copy(), np.isfinite(series.values[:, 0])
    at = np.maximum.accumulate(np.where(known, np.arange(len(known)), np.flatnonzero(known)[0]))
    values[:, 0] = values[at, 0]
    columns = [values]
    if name == "pollution":
        hours = series.times.astype("datetime64[h]").astype(int) % 24 * 2 * np.pi / 24
        columns += [np.log1p(values[:, :1]), ~known[:, None], np.sin(hours)[:, None], np.cos(hours)[:, None]]
    length = len(values)
    starts = {"train": 0, "dev": length * 8 // 10, "test": length * 9 // 10, "end": length}
    return Data(values[:, 0], known, np.concatenate(columns, 1), starts)


def origins(data: Data, part: str, window: int, every: int = AHEAD + 1) -> np.ndarray:
    """Return the first steps of the forecasts of a part, each of which is read for ``window`` steps before."""
    names = list(data.starts)
    first, last = data.starts[part], data.starts[names[names.index(part) + 1]]
    return np.arange(max(first, window), last - AHEAD + 1, every)


def windows(data: Data, at: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what is read before each origin [n, window, columns], and what follows [n, 24]."""
    X = np.stack([data.inputs[t - window : t] for t in at])
    return X, np.stack([data.values[t : t + AHEAD] for t in at])


def mase(data: Data, task: Task, at: np.ndarray, forecasts: np.ndarray) -> float:
    """Return the mean absolute scaled error over known steps."""
    end, season = data.starts["dev"], task.season
    both = data.known[season:end] & data.known[: end - season]
    scale = np.abs(data.values[season:end] - data.values[: end - season])[both].mean()
    steps = at[:, None] + np.arange(AHEAD)
    errors = np.abs(data.values[steps] - forecasts)[data.known[steps]]
    return float(errors.mean() / scale)


def seasonal_naive(data: Data, task: Task, at: np.ndarray) -> np.ndarray:
    """Repeat the last season."""
    return np.stack([data.values[t - task.season + np.arange(AHEAD) % task.season] for t in at])


def naive(data: Data, task: Task, at: np.ndarray) -> np.ndarray:
    """Repeat the last value."""
    return np.repeat(data.values[at - 1][:, None], AHEAD, 1)


def ets(data: Data, task: Task):
    """Fit exponential smoothing, that of smallest AICc; return a function to forecasts from origins."""
    from statsmodels.tsa.exponential_smoothing.ets import ETSModel

    train, best = data.values[: data.starts["dev"]], None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for trend, damped in ((None, False), ("add", False), ("add", True)):
            for season in {None, task.ets_season}:
                options = dict(error="add", trend=trend, damped_trend=damped, seasonal=season and "add")
                fitted = ETSModel(train, **options, seasonal_periods=season).fit(disp=False)
                if best is None or fitted.aicc < best[0]:
                    best = fitted.aicc, options, season, fitted.params
        _, options, season, params = best
        print(f"ETS: {options}", file=sys.stderr, flush=True)
        whole = ETSModel(data.values, **options, seasonal_periods=season).smooth(params)
    # The states after each step are those of smoothing the whole series: it looks at no later step.
    return lambda at: np.stack([whole.predict(t, t + AHEAD - 1, dynamic=0) for t in at])


def network(data: Data, task: Task, options: dict, seed: int):
    """Train, and return a function to forecasts from origins."""
    train, dev = (origins(data, part, task.window, every) for part, every in (("train", 1), ("dev", 1)))
    train = train[train + AHEAD <= data.starts["dev"]]

    def target(at):
        """What is told is how far a value is from the last one read."""
        X, y = windows(data, at, task.window)
        return X, y - X[:, -1:, 0]

    model = Seq2Seq(random_state=seed, verbose=2, **options)
    model.fit(*target(train), validation_data=target(dev))
    return lambda at: model.predict(windows(data, at, task.window)[0]) + data.values[at - 1][:, None]


def told_values(values: list[float]) -> str:
    """Tell a mean, and the deviation of several values."""
    return f"{np.mean(values):.3f}" + (f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else "")


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("series", nargs="*", default=list(TASKS), help=" or ".join(TASKS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--dev", action="store_true", help="measure dev only")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", dest="overrides")
    arguments = parser.parse_args()
    if unknown := set(arguments.series) - set(TASKS):
        parser.error(f"no such series: {', '.join(unknown)}")
    overrides = parse_settings(arguments.overrides)
    parts = ("dev",) if arguments.dev else ("dev", "test")
    print(f"{datetime.date.today()}  seeds {arguments.seeds}  {overrides or ''}")
    print("| series | model | dev MASE | test MASE | seconds |")
    print("|---|---|---|---|---|", flush=True)
    for name in arguments.series:
        data, task = load(name), TASKS[name]
        least = max(task.window, task.season)
        options = {**task.settings, **overrides}
        for told in ("seasonal naive", "naive", "ETS", "Seq2Seq"):
            began = time.perf_counter()
            if told == "Seq2Seq":
                forecasters = [network(data, task, options, seed) for seed in arguments.seeds]
            elif told == "ETS":
                forecasters = [ets(data, task)]
            else:
                forecasters = [partial(naive if told == "naive" else seasonal_naive, data, task)]
            row = []
            for part in parts:
                at = origins(data, part, least)
                row.append([mase(data, task, at, forecast(at)) for forecast in forecasters])
            print(json.dumps({"series": name, "model": told, "mase": row}), file=sys.stderr, flush=True)
            cells = " | ".join(told_values(values) for values in row) + (" | " if len(row) == 1 else "")
            print(f"| {name} | {told} | {cells} | {time.perf_counter() - began:.0f} |", flush=True)


if __name__ == "__main__":
    main()
