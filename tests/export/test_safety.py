"""Ops that touch files or processes are found wherever they stand, and the loader's own are let through."""

import pytest
import tensorflow as tf

from seqkit.errors import ModelFileError
from seqkit.export.check import check_saved_model
from seqkit.export.runtime import SavedModelFile
from seqkit.export.safety import UNSAFE_OPS, check_ops, unsafe_ops


class Model(tf.Module):
    """A variable, and what a test puts in."""

    def __init__(self):
        super().__init__()
        self.weight = tf.Variable([1.0, 2.0])


def save(folder, function, module=None):
    module = module or Model()
    module.serve = tf.function(
        lambda text: {"y": function(module, text)}, input_signature=[tf.TensorSpec([None], tf.string, name="text")]
    )
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.serve})
    return SavedModelFile(folder)


def test_a_model_that_computes_is_safe(tmp_path):
    model = save(tmp_path, lambda module, text: tf.strings.length(text) + tf.cast(module.weight[0], tf.int32))
    assert {"RestoreV2", "SaveV2"} <= set(model.ops)  # the loader's own
    assert unsafe_ops(model) == []
    check_ops(model, tmp_path)


def looped(module, text):
    def body(i, found):
        return i + 1, tf.concat([found, [tf.io.read_file("/etc/hostname")]], 0)

    shapes = tf.TensorShape([]), tf.TensorShape([None])
    return tf.while_loop(lambda i, _: i < 2, body, (0, text), shapes)[1]


def branched(module, text):
    return tf.cond(tf.size(text) > 9, lambda: tf.io.read_file("/etc/hostname"), lambda: "")


def restored(module, text):
    return tf.raw_ops.RestoreV2(prefix=text[0], tensor_names=["x"], shape_and_slices=[""], dtypes=[tf.float32])[0]


def printed(module, text):
    tf.print(text, output_stream="file:///tmp/told")
    return text


@pytest.mark.parametrize(
    ("function", "op"),
    [
        (lambda module, text: tf.io.read_file(text[0]), "ReadFile"),
        (lambda module, text: tf.io.matching_files(text), "MatchingFiles"),
        (branched, "ReadFile"),
        (looped, "ReadFile"),
        (restored, "RestoreV2"),
        (printed, "PrintV2"),
        (lambda module, text: tf.numpy_function(lambda x: x, [text], tf.string), "PyFunc"),
    ],
    ids=["read", "match", "in a branch", "in a loop", "a checkpoint", "print to a file", "Python"],
)
def test_what_touches_files_or_processes_is_found(tmp_path, function, op):
    model = save(tmp_path, function)
    assert unsafe_ops(model) == [op]
    with pytest.raises(ModelFileError, match=rf"has ops that touch files or processes: {op}\. .* --allow-op {op}"):
        check_ops(model, tmp_path)
    check_ops(model, tmp_path, allowed=[op])
    report = check_saved_model(tmp_path)
    assert not report.ok and not report.answers and op in report.problems[0]


def test_a_write_that_nothing_needs_is_found(tmp_path):
    def write(module, text):
        tf.io.write_file("/tmp/told", text[0])
        return text

    assert unsafe_ops(save(tmp_path, write)) == ["WriteFile"]


def test_what_is_allowed_is_run(tmp_path):
    (tmp_path / "told.txt").write_text("x")
    save(tmp_path / "model", lambda module, text: tf.io.read_file(str(tmp_path / "told.txt")))
    report = check_saved_model(tmp_path / "model", allow_ops=["ReadFile"])
    assert report.ok, report.to_text()
    assert report.answers["serving_default"][0]["y"] == b"x"


def test_a_message_that_is_printed_is_harmless(tmp_path):
    def tell(module, text):
        tf.print(text)
        return text

    assert unsafe_ops(save(tmp_path, tell)) == []


def test_a_vocabulary_from_a_file(tmp_path):
    (tmp_path / "words.txt").write_text("a\nb\n")
    module = Model()
    index = tf.lookup.TextFileIndex
    kinds = tf.string, index.WHOLE_LINE, tf.int64, index.LINE_NUMBER
    start = tf.lookup.TextFileInitializer(str(tmp_path / "words.txt"), *kinds)
    module.table = tf.lookup.StaticHashTable(start, -1)
    save(tmp_path / "model", lambda module, text: module.table.lookup(text), module)
    file = tmp_path / "model" / "saved_model.pb"
    assert unsafe_ops(SavedModelFile(file.parent)) == []
    assert check_saved_model(file.parent).ok
    # Where the loader does not put the path of the model's own file, it may be that of any.
    data = file.read_bytes()
    assigned = b"\x12\x10AssignVariableOp\x1a\x08Variable\x1a\x16asset_path_initialize"
    assert data.count(assigned + b"r") == 1
    file.write_bytes(data.replace(assigned + b"r", assigned + b"d"))
    assert unsafe_ops(SavedModelFile(file.parent)) == ["InitializeTableFromTextFileV2"]


def test_ops_are_written_as_tensorflow_writes_them():
    from seqkit.export.runtime import registered_ops

    assert len(UNSAFE_OPS - registered_ops()) <= 5  # of other versions and builds
