import json

import pytest

from seqkit.errors import ModelFileError
from seqkit.export.manifest import read_manifest, version_folders


def put(file, value):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(value if isinstance(value, str) else json.dumps(value))


def test_found_wherever_it_is(tmp_path):
    put(tmp_path / "saved" / "manifest.json", {"estimator": "SequenceTagger"})
    assert read_manifest(tmp_path / "saved") == {"estimator": "SequenceTagger"}
    for version in (2, 10, 9):
        folder = tmp_path / "ner" / str(version)
        put(folder / "saved_model.pb", "")
        put(
            folder / "assets.extra" / "manifest.json",
            {"format": "seqkit-export", "format_version": 1, "number": version},
        )
    put(tmp_path / "ner" / "notes" / "x", "")
    assert read_manifest(tmp_path / "ner" / "2")["number"] == 2
    assert read_manifest(tmp_path / "ner")["number"] == 10
    assert list(version_folders(tmp_path / "ner")) == [2, 9, 10]


def test_faults_say_what_to_do(tmp_path):
    with pytest.raises(ModelFileError, match=r"none: no such folder; give a saved model or an export"):
        read_manifest(tmp_path / "none")
    with pytest.raises(ModelFileError, match=r"no model here; expected manifest\.json"):
        read_manifest(tmp_path)
    put(tmp_path / "foreign" / "saved_model.pb", "")
    with pytest.raises(ModelFileError, match=r"not written by seqkit; `python -m seqkit check .*foreign`"):
        read_manifest(tmp_path / "foreign")
    put(tmp_path / "manifest.json", "{")
    with pytest.raises(ModelFileError, match=r"manifest\.json: damaged"):
        read_manifest(tmp_path)
    put(tmp_path / "manifest.json", "[]")
    with pytest.raises(ModelFileError, match="expected a JSON object, got list"):
        read_manifest(tmp_path)
    put(tmp_path / "manifest.json", {"format": "seqkit-export", "format_version": 2, "versions": {"seqkit": "9.0"}})
    with pytest.raises(ModelFileError, match=r"format version 2; this seqkit reads version 1.*\(9\.0\)"):
        read_manifest(tmp_path)
