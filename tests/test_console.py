from __future__ import annotations

import io

import pytest

from seqkit.console import entity_text, error_line, progress

ENTITIES = [{"start": 17, "end": 21, "label": "LOC"}, {"start": 0, "end": 8, "label": "PER"}]


def test_entities_are_marked_in_order_of_place():
    assert entity_text("Ada King lives [in] Oslo", [{"start": 20, "end": 24, "label": "LOC"}], color=False).plain == (
        "Ada King lives [in] [Oslo|LOC]"
    )
    assert entity_text("Ada King sees in Oslo!", ENTITIES, color=False).plain == "[Ada King|PER] sees in [Oslo|LOC]!"


def test_colored_entities_keep_the_text_and_differ_by_label():
    marked = entity_text("Ada King sees in Oslo!", ENTITIES)
    assert marked.plain == "Ada King PER  sees in Oslo LOC !"
    assert len({span.style for span in marked.spans}) == 4  # name and label, for two types


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("stream", "shown"), [(io.StringIO(), False), (Terminal(), True)])
def test_progress_shows_only_to_a_terminal(monkeypatch, stream, shown):
    monkeypatch.setattr("sys.stderr", stream)
    with progress(3, "epochs") as bar:
        for _ in range(3):
            bar.advance()
        bar.update(loss=0.25)
    assert ("3/3" in stream.getvalue() and "loss 0.25" in stream.getvalue()) is shown
    assert bool(stream.getvalue()) is shown


def test_progress_can_be_forced_silenced_and_plain(monkeypatch):
    forced, silent, plain = io.StringIO(), Terminal(), io.StringIO()
    for stream, enabled in ((forced, True), (silent, False), (plain, "lines")):
        monkeypatch.setattr("sys.stderr", stream)
        with progress(2, "epochs", enabled=enabled) as bar:
            bar.advance()
            bar.update(loss=0.123456, f1=0.5)
    assert "1/2" in forced.getvalue()
    assert silent.getvalue() == ""
    assert plain.getvalue() == "epochs 1/2  loss 0.1235  f1 0.5\n"


def test_an_error_is_one_line(capsys):
    error_line("first\n  [bold]second[/bold] " + "x" * 300)
    assert capsys.readouterr().err == "error: first [bold]second[/bold] " + "x" * 300 + "\n"
