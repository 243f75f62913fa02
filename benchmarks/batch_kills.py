"""Batch prediction through 50 kills: kill -9 of a worker, the driver or a whole node, in turn, at random moments.

Run from the repository's root: ``python benchmarks/batch_kills.py`` (Linux; needs Ray). Two nodes of a Ray cluster are
begun on this machine (``ray start``), a job of 200,000 rows is run on them again and again, and something is killed all
the while. A killed driver is run again with the same command, a killed node is begun again after a while, workers are
Ray's affair. What is finished is compared row for row with what an undisturbed run in one process wrote.
"""

from __future__ import annotations

import argparse
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

if __package__ in (None, ""):  # run as a file: make an uninstalled `seqkit` importable
    sys.path[0] = str(Path(__file__).resolve().parents[1])

WORDS = ["good", "bad", "dull", "great", "film", "plot", "music", "long", "never", "always", "the", "a", "of", "and"]
KINDS = ("worker", "driver", "node")
LIMIT = 900.0  # seconds that a job may take between two kills


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    os.environ |= {
        "PYTHONPATH": os.pathsep.join(filter(None, [sys.path[0], os.environ.get("PYTHONPATH")])),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(16),
        "RAY_USAGE_STATS_ENABLED": "0",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        job = Job(Path(folder), options)
        print(f"# {options.kills} kills over a job of {options.rows:,} rows (seed {options.seed})\n")
        print(f"Undisturbed, in one process: {job.undisturbed():.1f} s.")
        with Nodes(options.workers) as nodes:
            kill_at_random(job, nodes, options)
            kill_a_node(job, nodes)
    print("\nAll equal.")


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--shard-rows", type=int, default=2_000)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--workers", type=int, default=1, help="CPUs of each of the two nodes (default 1)")
    parser.add_argument("--longest", type=float, default=30.0, help="seconds between two kills, at most (default 30)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", help="where to write; default: the folder for temporary files")
    return parser.parse_args(arguments)


class Job:
    """A small classifier, rows for it, and the command that predicts them."""

    def __init__(self, folder: Path, options: argparse.Namespace):
        import pyarrow
        import pyarrow.parquet

        import seqkit

        self.folder, self.shard_rows, self.rows = folder, options.shard_rows, options.rows
        draw = random.Random(options.seed)
        texts = [" ".join(draw.choices(WORDS, k=draw.randint(1, 9))) for _ in range(options.rows)]
        table = pyarrow.table({"id": range(options.rows), "text": texts})
        pyarrow.parquet.write_table(table, folder / "in.parquet", row_group_size=options.shard_rows)
        some = texts[:500]
        model = seqkit.SequenceClassifier(epochs=1, units=16, word_dim=16, random_state=0)
        model.fit(some, ["good" if "good" in text else "bad" for text in some]).save(folder / "model")

    def command(self, output: str, *more: str) -> list[str]:
        """Return the command line that writes to a folder."""
        names = [str(self.folder / name) for name in ("model", "in.parquet")]
        command = [sys.executable, "-m", "seqkit", "batch", *names, "-o", str(self.folder / output)]
        return [*command, "--shard-rows", str(self.shard_rows), *more]

    def undisturbed(self) -> float:
        """Write the answers that count; return how long it took."""
        began = time.monotonic()
        subprocess.run(self.command("whole"), check=True, capture_output=True)
        self.whole = read(self.folder / "whole")
        if self.whole["id"].to_pylist() != list(range(self.rows)) or self.whole["label"].null_count:
            raise RuntimeError("the undisturbed run did not answer every row once")
        return time.monotonic() - began

    def compare(self, output: str) -> None:
        """Check that a folder has the same rows, and nothing half written."""
        if not read(self.folder / output).equals(self.whole):
            raise RuntimeError(f"{output} differs from the undisturbed run")
        if left := list((self.folder / output).glob("**/.*.tmp")):
            raise RuntimeError(f"{output} has files half written: {left}")


def read(folder: Path):
    """Return all parts as one table."""
    import pyarrow
    import pyarrow.parquet

    return pyarrow.concat_tables([pyarrow.parquet.read_table(path) for path in sorted(folder.glob("part-*"))])


class Nodes:
    """A Ray cluster of two nodes on this machine; the second one is to be killed."""

    def __init__(self, cpus: int):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        store = ["--object-store-memory", str(80 << 20), "--num-cpus", str(cpus), "--disable-usage-stats", "--block"]
        self._command = [sys.executable, "-m", "ray.scripts.scripts", "start", *store]

    def __enter__(self) -> Nodes:
        port = self.address.rpartition(":")[2]
        self.head = self._start("--head", "--port", port, "--include-dashboard", "false")
        limit = time.monotonic() + 120
        while True:
            try:
                socket.create_connection(("127.0.0.1", int(port)), 1).close()
                break
            except OSError:
                if self.head.poll() is not None or time.monotonic() > limit:
                    raise RuntimeError("the head node did not start") from None
                time.sleep(0.2)
        time.sleep(5)  # its raylet comes after what answers at the port
        self.begin_second()
        return self

    def __exit__(self, *_) -> None:
        self.kill_second()
        kill_tree(self.head)

    def begin_second(self) -> None:
        """Begin the second node."""
        self.second = self._start("--address", self.address)

    def kill_second(self) -> None:
        """Kill every process of the second node."""
        kill_tree(self.second)

    def workers(self) -> list[int]:
        """Return the processes that have a shard in hand."""
        found = [pid for node in (self.head, self.second) for pid in descendants(node.pid)]
        return [pid for pid in found if title(pid).startswith("ray::_work")]

    def _start(self, *more: str) -> subprocess.Popen:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return subprocess.Popen([*self._command, *more], start_new_session=True, **quiet)


def descendants(pid: int) -> list[int]:
    """Return all processes below one."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended
            continue
        parents.setdefault(parent, []).append(int(path.parent.name))
    found, new = [], [pid]
    while new:
        new = [child for parent in new for child in parents.get(parent, ())]
        found += new
    return found


def title(pid: int) -> str:
    """Return what a process calls itself."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def kill_tree(process: subprocess.Popen) -> None:
    """Kill a process and all below it."""
    for pid in [process.pid, *descendants(process.pid)]:
        kill(pid)
    process.wait()


def kill_at_random(job: Job, nodes: Nodes, options: argparse.Namespace) -> None:
    """Run the job again and again, killing something at random moments, until there were kills enough."""
    draw, kills, finished = random.Random(options.seed), Counter(), 0
    reruns, rows_at = 0, []
    began = time.monotonic()
    while kills.total() < options.kills:
        output = f"out-{finished}"
        driver = run(job, nodes, output)
        while kills.total() < options.kills:
            kind, moment = KINDS[kills.total() % len(KINDS)], draw.uniform(0.0, options.longest)
            if not ends_within(driver, moment) and (kind != "worker" or a_worker(driver, nodes)):
                rows = len(list((job.folder / output).glob("part-*"))) * job.shard_rows
                kills[kind] += 1
                rows_at.append(rows)
                number = f"kill {kills.total()} of {options.kills}"
                print(f"{number}: {kind}, {moment:.1f} s later, {rows:,} rows written", file=sys.stderr, flush=True)
                if kind == "worker":
                    kill(draw.choice(nodes.workers() or [0]))
                elif kind == "node":
                    nodes.kill_second()
                    time.sleep(draw.uniform(0.0, 10.0))
                    nodes.begin_second()
                else:
                    driver.kill()
                    driver.wait()
                    reruns += 1
                    driver = run(job, nodes, output)
            if driver.poll() is not None:
                break
        ended(driver)
        job.compare(output)
        finished += 1
    told = ", ".join(f"{count} of {'the ' if kind == 'driver' else 'a '}{kind}" for kind, count in kills.items())
    between = sum(0 < rows < job.rows for rows in rows_at)
    print(
        f"\n{kills.total()} kills ({told}), {between} of them with some rows written and others not, over {finished} "
        f"jobs on two nodes; {reruns} re-runs; {time.monotonic() - began:.0f} s. All {job.rows:,} rows of each are "
        "equal to the undisturbed ones, row for row, and no file is left half written.",
        flush=True,
    )


def kill_a_node(job: Job, nodes: Nodes) -> None:
    """Kill one of two nodes in the middle of a job; it is not begun again."""
    began = time.monotonic()
    driver = run(job, nodes, "two")
    while len(list((job.folder / "two").glob("part-*"))) * job.shard_rows < job.rows / 3 and driver.poll() is None:
        time.sleep(0.05)
    if driver.poll() is not None:
        raise RuntimeError("the job ended before the node was killed")
    nodes.kill_second()
    killed = time.monotonic()
    ended(driver)
    job.compare("two")
    print(
        f"\nTwo nodes, one killed {killed - began:.1f} s after the start and not begun again: the same run goes on, "
        f"and ends {time.monotonic() - killed:.1f} s later, equal row for row.",
        flush=True,
    )


def run(job: Job, nodes: Nodes, output: str) -> subprocess.Popen:
    command = job.command(output, "--engine", "ray", "--address", nodes.address)
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ends_within(process: subprocess.Popen, seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def a_worker(driver: subprocess.Popen, nodes: Nodes) -> bool:
    """Wait until a worker has a shard in hand; False where the job ends before."""
    while driver.poll() is None:
        if nodes.workers():
            return True
        time.sleep(0.05)
    return False


def ended(driver: subprocess.Popen) -> None:
    """Wait for the end of a run, which must be a good one."""
    _, told = driver.communicate(timeout=LIMIT)
    if driver.returncode:
        raise RuntimeError(f"a run ended with {driver.returncode}:\n{told}")


if __name__ == "__main__":
    main()
