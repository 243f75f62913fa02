"""The command line itself, with pipelines that exist only here; tests/e2e has the real one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import types
from importlib.metadata import EntryPoint
from typing import Annotated

import pytest
import typer

from seqkit import __version__, cli
from seqkit.cli_parameters import estimator_command, given_parameters
from seqkit.errors import FormatError


class Estimator:
    """Has parameters.

    Parameters
    ----------
    units : int, default 200
        Size of the state.
    crf : bool, default True
        Whether tags see their neighbors.
    """

    def __init__(self, units=200, crf=True):
        pass


def make_pipeline() -> types.ModuleType:
    module = types.ModuleType("fake_pipeline")
    app = typer.Typer(help="A pipeline for a test.")

    @app.command(cls=estimator_command("fake_pipeline:Estimator"))
    def train(
        context: typer.Context, file: str, config: Annotated[str | None, typer.Option(parser=str)] = None
    ) -> None:
        """Train."""
        from pathlib import Path

        typer.echo(f"{file} {given_parameters(context, Path(config) if config else None)}")

    @app.command()
    def fail(how: str) -> None:
        raise {
            "format": FormatError("x.conll", 7, "two\nlines"),
            "missing": FileNotFoundError(2, "No such file or directory", "there.txt"),
            "interrupt": KeyboardInterrupt(),
            "bug": ZeroDivisionError("a bug"),
        }[how]

    module.app, module.Estimator, module.number = app, Estimator, 3
    module.demo = lambda text, output: typer.echo(f"demo {text} {output}")
    return module


@pytest.fixture
def pipelines(monkeypatch):
    monkeypatch.setitem(sys.modules, "fake_pipeline", make_pipeline())
    values = {"fake": "fake_pipeline:app", "broken": "no_such_module:app", "odd": "fake_pipeline:number"}
    entries = [EntryPoint(name, value, cli.PIPELINE_GROUP) for name, value in values.items()]
    monkeypatch.setattr(cli, "entry_points", lambda group: entries)


@pytest.fixture
def run(capsys):
    def run(*arguments):
        code = cli.main(arguments)
        return code, *capsys.readouterr()

    return run


def test_help_lists_commands_and_pipelines_even_broken_ones(run, pipelines):
    code, out, _ = run("--help")
    assert code == 0
    for word in ("demo", "info", "check", "version", "A pipeline for a test.", "broken", "odd", "Cannot be loaded."):
        assert word in out


def test_version(run):
    assert run("version") == (0, __version__ + "\n", "")


def test_flags_come_from_the_estimator(run, pipelines, tmp_path):
    code, out, _ = run("fake", "train", "--help")
    assert code == 0
    assert "--units" in out and "Size of the state." in out and "--no-crf" in out and "200" in out
    assert run("fake", "train", "a")[1] == "a {}\n"
    assert run("fake", "train", "a", "--units", "30", "--no-crf")[1] == "a {'units': 30, 'crf': False}\n"
    config = tmp_path / "c.yaml"
    config.write_text("units: 20\ncrf: false\n")
    assert run("fake", "train", "a", "--config", str(config), "--units", "30")[1] == "a {'units': 30, 'crf': False}\n"
    assert run("fake", "train", "a", "--config", str(config), "--crf")[1] == "a {'units': 20, 'crf': True}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fake", "fail", "format"], "error: x.conll:7: two lines\n"),
        (["fake", "fail", "missing"], "error: there.txt: No such file or directory\n"),
        (["fake", "train"], "error: Missing argument 'file'. See: python -m seqkit fake train --help\n"),
        (["fake", "train", "a", "--unitz", "3"], "error: No such option: --unitz"),
        (["nonsense"], "error: No such command 'nonsense'"),
        (["broken", "anything", "--at-all"], "error: The pipeline 'broken' (no_such_module:app) cannot be loaded: Mod"),
        (["odd"], "error: The pipeline 'odd' (fake_pipeline:number) cannot be loaded: TypeError"),
        (["demo", "absent"], "error: There is no pipeline 'absent'. Installed: broken, fake, odd.\n"),
        (["demo", "broken"], "error: The pipeline 'broken' (no_such_module:app) cannot be loaded: Mod"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(run, pipelines, arguments, message):
    code, out, error = run(*arguments)
    assert (code, out) == (2, "")
    assert error.startswith(message)
    assert error.count("\n") == 1


def test_debug_lets_the_traceback_through(run, pipelines, monkeypatch):
    monkeypatch.setenv("SEQKIT_DEBUG", "1")
    with pytest.raises(FormatError):
        run("fake", "fail", "format")


def test_a_bug_is_not_dressed_up_as_bad_input(run, pipelines):
    with pytest.raises(ZeroDivisionError):
        run("fake", "fail", "bug")


def test_interrupt_is_130(run, pipelines):
    assert run("fake", "fail", "interrupt") == (130, "", "error: interrupted\n")


def test_demo_calls_the_pipelines_own(run, pipelines):
    assert run("demo", "fake", "--text", "hello")[1] == f"demo hello {os.path.join('saved_models', 'fake')}\n"


def test_help_is_fast_and_imports_nothing_heavy():
    script = (
        "import sys; from seqkit.cli import main; code = main(['--help']); main(['ner', '--help'])\n"
        "print(sorted({'tensorflow', 'keras', 'sklearn', 'pyarrow', 'numpy'} & set(sys.modules)), code)"
    )
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[] 0"
    assert time.perf_counter() - started < 5  # about 0.5 s on a quiet machine; importing TensorFlow takes longer
