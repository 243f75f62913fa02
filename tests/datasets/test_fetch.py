from __future__ import annotations

import dataclasses
import gzip
import hashlib
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from seqkit.datasets import fetch
from seqkit.datasets.catalogue import Dataset, RemoteFile
from seqkit.errors import DataError

CONTENT = {"a.txt": b"first file\n", "sub/b.txt": b"second\r\nfile\n"}


class Served(Dataset):
    """An entry whose files come from a server on this machine."""

    root = ""

    def url(self, file):
        return self.root + file.path


@pytest.fixture
def server():
    """Serves `pages`; notes what was asked for; calls `before` first, so that a test can act during a download."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            server.asked.append(self.path)
            server.before()
            page = server.pages.get(self.path)
            self.send_response(200 if page is not None else 404)
            self.send_header("Content-Length", str(len(page or b"")))
            self.end_headers()
            self.wfile.write((page or b"")[: server.limit])

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.pages = {f"/{name}": page for name, page in CONTENT.items()}
    server.asked, server.before, server.limit = [], lambda: None, None
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def cache(monkeypatch, tmp_path, server):
    """The (empty) cache folder of a world whose only data set is "toy"."""
    files = tuple(RemoteFile(n, n, len(c), hashlib.sha256(c).hexdigest()) for n, c in CONTENT.items())
    entry = Served("toy", "Toy", "none", "none", "", "nobody/toy", "0" * 40, files)
    monkeypatch.setattr(Served, "root", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setattr(fetch, "get_dataset", {"toy": entry}.__getitem__)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("SEQKIT_DATA", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "cache" / "seqkit"


def tree(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_downloads_once_and_whole(cache, server):
    folder = fetch.find("toy")
    assert folder == cache / "toy"
    assert tree(cache) == {f"toy/{name}": content for name, content in CONTENT.items()}
    assert fetch.find("toy") == folder
    assert server.asked == ["/a.txt", "/sub/b.txt"]
    assert fetch.verify("toy") == folder
    assert os.stat(folder).st_mode & 0o777 == 0o755


def test_without_download(cache, server):
    with pytest.raises(DataError, match="'toy' is not on this machine: SEQKIT_DATA is not set"):
        fetch.find("toy", download=False)
    assert server.asked == []


@pytest.mark.parametrize("page", [b"second file, changed\n", b"", CONTENT["sub/b.txt"] * 1000])
def test_wrong_content_leaves_nothing(cache, server, page):
    server.pages["/sub/b.txt"] = page
    wanted = hashlib.sha256(CONTENT["sub/b.txt"]).hexdigest()
    with pytest.raises(DataError, match=rf"/sub/b.txt: sha256 of the download is .* expected {wanted}"):
        fetch.find("toy")
    assert list(cache.iterdir()) == []


def test_connection_that_breaks_leaves_nothing(cache, server):
    server.limit = 5  # hangs up after five of the bytes it promised
    with pytest.raises(DataError, match=r"a\.txt"):
        fetch.find("toy")
    assert list(cache.iterdir()) == []


def test_missing_page(cache, server):
    del server.pages["/a.txt"]
    with pytest.raises(DataError, match=r"download failed: http://127.0.0.1:\d+/a.txt: Not Found"):
        fetch.find("toy")
    assert list(cache.iterdir()) == []


def test_offline_says_what_to_do(cache, monkeypatch, tmp_path):
    monkeypatch.setenv("SEQKIT_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(Served, "root", "http://127.0.0.1:9/")  # the discard port: nobody listens
    with pytest.raises(DataError, match="download failed") as caught:
        fetch.find("toy")
    message = str(caught.value)
    assert str(tmp_path / "data" / "toy") in message
    assert str(cache / "toy") in message
    assert "set SEQKIT_DATA to the folder above it" in message
    assert list(cache.iterdir()) == []


def test_cache_that_cannot_be_written(cache, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(DataError, match="cannot be stored in"):
        fetch.find("toy")


def test_seqkit_data_comes_first_and_may_be_gzip(cache, server, monkeypatch, tmp_path):
    monkeypatch.setenv("SEQKIT_DATA", str(tmp_path))
    (tmp_path / "toy" / "sub").mkdir(parents=True)
    (tmp_path / "toy" / "a.txt").write_bytes(CONTENT["a.txt"])
    (tmp_path / "toy" / "sub" / "b.txt.gz").write_bytes(gzip.compress(CONTENT["sub/b.txt"]))
    assert fetch.find("toy") == tmp_path / "toy"
    assert fetch.verify("toy") == tmp_path / "toy"
    assert fetch.stored_file(tmp_path / "toy", "sub/b.txt") == tmp_path / "toy" / "sub" / "b.txt.gz"
    assert server.asked == []


def test_seqkit_data_that_lacks_a_file(cache, server, monkeypatch, tmp_path):
    monkeypatch.setenv("SEQKIT_DATA", str(tmp_path))
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "a.txt").write_bytes(CONTENT["a.txt"])
    with pytest.raises(DataError, match=r"toy has no file 'sub/b.txt' \(nor 'sub/b.txt.gz'\)"):
        fetch.find("toy")
    assert server.asked == []


def test_seqkit_data_without_the_set_falls_through_to_the_cache(cache, monkeypatch, tmp_path):
    monkeypatch.setenv("SEQKIT_DATA", str(tmp_path))
    assert fetch.find("toy") == cache / "toy"


def test_cache_that_lost_a_file_is_completed(cache):
    folder = fetch.find("toy")
    (folder / "sub" / "b.txt").unlink()
    (folder / "sub").rmdir()
    assert fetch.find("toy") == folder
    assert tree(cache) == {f"toy/{name}": content for name, content in CONTENT.items()}


def test_another_process_that_was_faster_wins(cache, server):
    def other_process():
        for name in CONTENT:
            (cache / "toy" / name).parent.mkdir(parents=True, exist_ok=True)
            (cache / "toy" / name).write_bytes(b"from the other")

    server.before = other_process
    assert fetch.find("toy") == cache / "toy"
    assert tree(cache) == {f"toy/{name}": b"from the other" for name in CONTENT}


def test_verify_finds_changed_and_damaged_files(cache):
    folder = fetch.find("toy")
    (folder / "a.txt").write_bytes(b"edited")
    with pytest.raises(DataError, match=r"a\.txt: sha256 of its \(uncompressed\) content is"):
        fetch.verify("toy")
    (folder / "a.txt").unlink()
    (folder / "a.txt.gz").write_bytes(gzip.compress(CONTENT["a.txt"] * 99)[:-12])
    with pytest.raises(DataError, match=r"a\.txt\.gz: damaged gzip data"):
        fetch.verify("toy", folder)


def test_relative_xdg_cache_home_is_ignored(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert fetch.cache_folder() == tmp_path / ".cache" / "seqkit"


def test_entries_are_frozen(cache):
    entry = fetch.get_dataset("toy")
    with pytest.raises(dataclasses.FrozenInstanceError):
        entry.commit = "main"
