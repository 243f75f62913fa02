"""The local server under load: latency and requests a second by number of clients, and versions swapped under it.

Run from the repository's root: ``python benchmarks/serving_load.py`` (latency and load, about ten minutes) and
``python benchmarks/serving_load.py --soak 15`` (minutes). A tagger (mit_movie) and a classifier (sst2), of the default
sizes and trained for one pass, are exported to a temporary folder, or taken from ``--models``. Server, clients and the
bare C++ runtime are processes of their own on the same cores. Each request asks for one text of the test part; clients
take the next one as soon as the last is answered.

Latency is measured in turn (bare, REST, gRPC, bare, …): the bare call is `seqkit.export.runtime.Runtime.run` in a
process without TensorFlow in Python; once as fast as it goes, and once after a pause of 1 ms before each call, in which
cores fall asleep, as they do while a request is on its way.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

if __package__ in (None, ""):  # run as a file: make `benchmarks` and an uninstalled `seqkit` importable
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np

from benchmarks.tagger_speed import machine, note, table
from seqkit.serving import Client

MODELS = {"tagger": "mit_movie", "classifier": "sst2"}


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    if options.bare:
        bare(options.bare)
        return
    where = machine(os.cpu_count() or 1)
    print(
        f"{where['processor']}, {where['cores']} cores, Python {where['python']}; load {where['load']} at the start.\n"
    )
    with contextlib.ExitStack() as ends:
        models = options.models
        if models is None:
            models = Path(ends.enter_context(tempfile.TemporaryDirectory())) / "models"
            export_models(models)
        urls = ends.enter_context(served(models))
        if options.soak:
            soak(models, urls, options)
        else:
            latency(models, urls, options)
            if options.clients:
                load(urls, options)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, help="folder with exports called tagger and classifier")
    parser.add_argument("--clients", type=int, nargs="*", default=[1, 4, 16, 64], help="default 1 4 16 64")
    parser.add_argument("--seconds", type=float, default=15.0, help="of each number of clients (default 15)")
    parser.add_argument("--rounds", type=int, default=7, help="of latency (default 7)")
    parser.add_argument("--requests", type=int, default=200, help="of latency in each turn (default 200)")
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="load for so long, a new version every minute")
    parser.add_argument("--swap", type=float, default=60.0, help="seconds between versions in a soak (default 60)")
    parser.add_argument("--bare", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


# Models, texts, the server


def texts_of(model: str) -> list[str]:
    """Return texts to ask a model about."""
    from seqkit.datasets import load_tagging, load_texts

    if model == "tagger":
        return [" ".join(tokens) for tokens in load_tagging("mit_movie", "test", corpus="eng")[0]]
    return list(load_texts("sst2", "test")[0])


def export_models(root: Path) -> None:
    """Train both models for one pass, and export them."""
    from seqkit import SequenceClassifier, SequenceTagger
    from seqkit.datasets import load_tagging, load_texts

    for name, make, load_set in (
        ("tagger", SequenceTagger, load_tagging),
        ("classifier", SequenceClassifier, load_texts),
    ):
        note(f"training the {name}")
        X, y = load_set(MODELS[name], "train", **({"corpus": "eng"} if name == "tagger" else {}))
        make(epochs=1, validation_fraction=None, random_state=0, verbose=0).fit(X, y).export(root / name)


@contextlib.contextmanager
def served(models: Path) -> Iterator[dict[str, str]]:
    """Serve models in another process; give the addresses of REST and gRPC, and the process's number."""
    command = [sys.executable, "-m", "seqkit", "serve", str(models), "--rest-port", "0", "--grpc-port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            urls = {}
            while len(urls) < 2:
                line = process.stdout.readline()
                if not line:
                    raise RuntimeError("the server ended")
                if found := re.match(r"(http|grpc)://[^/]+", line):
                    urls["rest" if found[1] == "http" else "grpc"] = found[0]
            yield {**urls, "pid": str(process.pid)}
        finally:
            process.terminate()
            process.wait()


def asker(url: str, model: str) -> Client:
    return Client(f"{url}/v1/models/{model}" if url.startswith("http") else f"{url}/{model}")


# Latency


def bare(folder: Path) -> None:
    """Answer, on standard input and output: a pause and texts in a line of JSON with how many seconds each took."""
    from seqkit.export.runtime import Runtime

    model = Runtime(folder)
    for line in sys.stdin:
        seconds = []
        pause, texts = json.loads(line)
        for text in texts:
            time.sleep(pause)
            array = np.array([text.encode()], object)
            began = time.perf_counter()
            model.run("serving_default", {"text": array})
            seconds.append(time.perf_counter() - began)
        print(json.dumps(seconds), flush=True)


def latency(models: Path, urls: dict[str, str], options: argparse.Namespace) -> None:
    print("## Latency of one sentence, one client\n")
    rows = []
    for model in MODELS:
        texts = texts_of(model)[: options.requests]
        command = [sys.executable, __file__, "--bare", str(models / model / "1")]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process:

            def ask_bare(texts: list[str], pause: float = 0.0, process=process) -> list[float]:
                print(json.dumps([pause, texts]), file=process.stdin, flush=True)
                return json.loads(process.stdout.readline())

            def paced(texts: list[str], ask_bare=ask_bare) -> list[float]:
                return ask_bare(texts, 1e-3)

            with asker(urls["rest"], model) as rest, asker(urls["grpc"], model) as grpc:
                ways = {"bare": ask_bare, "bare, each after 1 ms": paced, "REST": timed(rest), "gRPC": timed(grpc)}
                for ask in ways.values():
                    ask(texts)  # the first call prepares
                p50: dict[str, list[float]] = {name: [] for name in ways}
                p99: dict[str, list[float]] = {name: [] for name in ways}
                for _ in range(options.rounds):
                    for name, ask in ways.items():
                        seconds = ask(texts)
                        p50[name].append(statistics.median(seconds))
                        p99[name].append(float(np.percentile(seconds, 99)))
            process.stdin.close()
        for name in ways:
            ratio = statistics.median(a / b for a, b in zip(p50[name], p50["bare"], strict=True))
            rows.append(
                [
                    model,
                    name,
                    f"{1e3 * statistics.median(p50[name]):.2f}",
                    f"{1e3 * statistics.median(p99[name]):.2f}",
                    f"{ratio:.2f}",
                ]
            )
    table(["model", "way", "p50, ms", "p99, ms", "p50 ÷ bare (to reach: 1.5)"], rows)


def timed(client: Client) -> Callable[[list[str]], list[float]]:
    def ask(texts: list[str]) -> list[float]:
        seconds = []
        for text in texts:
            began = time.perf_counter()
            client.run("serving_default", {"text": [text]})
            seconds.append(time.perf_counter() - began)
        return seconds

    return ask


# Load


def load(urls: dict[str, str], options: argparse.Namespace) -> None:
    print("\n## Load\n")
    rows = []
    for model in MODELS:
        texts = texts_of(model)
        for way in ("rest", "grpc"):
            for count in options.clients:
                seconds, errors = [], []
                with asker(urls[way], model) as client:
                    stop = time.perf_counter() + options.seconds
                    run_clients(
                        client,
                        texts,
                        count,
                        lambda stop=stop: time.perf_counter() < stop,
                        lambda took, _, seconds=seconds: seconds.append(took),
                        errors.append,
                    )
                p50, p99 = (1e3 * float(np.percentile(seconds, p)) for p in (50, 99))
                rate = len(seconds) / options.seconds
                rows.append([model, way.upper(), count, f"{rate:,.0f}", f"{p50:.1f}", f"{p99:.1f}", len(errors)])
                note(" ".join(map(str, rows[-1])))
    table(["model", "way", "clients", "requests/s", "p50, ms", "p99, ms", "errors"], rows)


def run_clients(client, texts, count: int, going: Callable, answered: Callable, failed: Callable) -> None:
    """Ask with many threads, until it is enough."""

    def ask(first: int) -> None:
        number = first
        while going():
            text = texts[number % len(texts)]
            number += count
            began = time.perf_counter()
            try:
                outputs = client.run("serving_default", {"text": [text]})
            except Exception as error:
                failed(f"{type(error).__name__}: {error}")
            else:
                answered(time.perf_counter() - began, (text, outputs))

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# Soak


def soak(models: Path, urls: dict[str, str], options: argparse.Namespace) -> None:
    """Both models over both ways, eight clients each, while a new version of each appears every minute."""
    print(f"## {options.soak:g} minutes, a new version of both models every {options.swap:g} seconds\n")
    end, counts, errors, wrong = time.perf_counter() + 60 * options.soak, {}, [], []
    expected: dict[tuple[str, str], dict] = {}
    threads, memory = [], []
    for model in MODELS:
        texts = texts_of(model)[:200]
        with asker(urls["rest"], model) as client:
            for text in texts:
                expected[model, text] = client.run("serving_default", {"text": [text]})
        for way in ("rest", "grpc"):
            counts[model, way] = 0

            def answered(_, answer, model=model, way=way):
                text, outputs = answer
                counts[model, way] += 1
                name = "tags" if model == "tagger" else "label"
                if outputs[name].tolist() != expected[model, text][name].tolist():
                    wrong.append(text)

            arguments = (asker(urls[way], model), texts, 8, lambda: time.perf_counter() < end, answered, errors.append)
            threads.append(threading.Thread(target=run_clients, args=arguments))
    for thread in threads:
        thread.start()
    version = 1
    while time.perf_counter() < end:
        memory.append(resident(urls["pid"]))
        note(f"version {version}: {sum(counts.values()):,} answers, {len(errors)} errors, {memory[-1]:.0f} MiB")
        time.sleep(min(options.swap, max(end - time.perf_counter(), 0.1)))
        if time.perf_counter() < end:
            version += 1
            for model in MODELS:
                hidden = models / f".{model}-{version}"
                shutil.copytree(models / model / "1", hidden)
                hidden.rename(models / model / str(version))
    for thread in threads:
        thread.join()
    with asker(urls["rest"], "tagger") as client:
        states = {one["version"]: one["state"] for one in client.status()}
    table(
        [
            "answers",
            "errors",
            "other answers than version 1's",
            "versions",
            "served at the end",
            "MiB, from minute to minute",
        ],
        [
            [
                f"{sum(counts.values()):,}",
                len(errors),
                len(wrong),
                version,
                [number for number, state in states.items() if state == "AVAILABLE"],
                " ".join(f"{size:.0f}" for size in memory),
            ]
        ],
    )
    for error in sorted(set(errors))[:5]:
        print(error)


def resident(pid: str) -> float:
    """Return a process's resident memory in MiB (Linux)."""
    with open(f"/proc/{pid}/status") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read())[1]) / 1024


if __name__ == "__main__":
    main()
