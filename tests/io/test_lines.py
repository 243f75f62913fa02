"""Files of bytes that are written whole or not at all."""

import os
import stat
import threading

import pytest

from seqkit.io import write_bytes, write_whole


def test_bytes_are_written_as_they_are(tmp_path):
    data = bytes(range(256)) + b"\r\n\n"
    for name in ("a.bin", "a.gz"):  # the name changes nothing: what is given may be compressed already
        write_bytes(tmp_path / name, data)
        assert (tmp_path / name).read_bytes() == data
    write_bytes(str(tmp_path / "a.bin"), b"")
    assert (tmp_path / "a.bin").read_bytes() == b""
    assert sorted(os.listdir(tmp_path)) == ["a.bin", "a.gz"]


def test_an_older_file_stays_where_writing_fails(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(TypeError):
        write_bytes(path, ["not bytes"])
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.bin"]
    with pytest.raises(FileNotFoundError):
        write_bytes(tmp_path / "none such" / "a.bin", b"new")


def test_links_and_rights_stay(tmp_path):
    path, link = tmp_path / "a.bin", tmp_path / "link"
    path.write_bytes(b"old")
    path.chmod(0o640)
    link.symlink_to(path)
    write_bytes(link, b"new")
    assert link.is_symlink() and path.read_bytes() == b"new" and stat.S_IMODE(path.stat().st_mode) == 0o640


def test_pipes_and_standard_output_are_written_directly(tmp_path, capfdbinary):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=write_bytes, args=(pipe, b"\x00\xff"), daemon=True)
    writer.start()
    assert pipe.read_bytes() == b"\x00\xff"
    writer.join(5)
    write_bytes("-", b"\xff\x00")
    assert capfdbinary.readouterr().out == b"\xff\x00"


def test_a_missing_folder_is_named(tmp_path):
    for write in (lambda path: write_bytes(path, b"x"), lambda path: write_whole(path).__enter__()):
        with pytest.raises(FileNotFoundError, match=r"No such folder: '.*none'$"):
            write(tmp_path / "none" / "file")
