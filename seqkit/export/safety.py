"""What a SavedModel from elsewhere could do beside computing: ops that touch files or processes.

A graph runs with the rights of the server. So before one is loaded its ops are listed, and those below refused. The ops
that read and write variables are refused too, but for the loader's own use of them.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from seqkit.errors import ModelFileError
from seqkit.export.runtime import SavedModelFile, fields

_FILES = {
    "ReadFile", "WriteFile", "MatchingFiles", "MatchingFilesDataset", "ExperimentalMatchingFilesDataset",
    "FileSystemSetConfiguration", "ImmutableConst", "DumpTensor", "RecordInput",
    "Save", "SaveSlices", "Restore", "RestoreSlice", "DTensorRestoreV2", "DistributedSave",
    "LoadAndRemapMatrix", "GenerateVocabRemapping", "CalibrationStatisticsSaver",
    "FixedLengthRecordReader", "FixedLengthRecordReaderV2", "LMDBReader", "TFRecordReader", "TFRecordReaderV2",
    "TextLineReader", "TextLineReaderV2", "WholeFileReader", "WholeFileReaderV2",
    "FixedLengthRecordDataset", "FixedLengthRecordDatasetV2", "TFRecordDataset", "TFRecordDatasetV2",
    "TextLineDataset", "ExperimentalCSVDataset", "CSVDataset", "CSVDatasetV2", "LMDBDataset",
    "ExperimentalLMDBDataset", "SqlDataset", "ExperimentalSqlDataset", "SSTableDataset",
    "SaveDataset", "SaveDatasetV2", "LoadDataset", "SnapshotDataset", "SnapshotDatasetV2", "SnapshotDatasetReader",
    "SnapshotNestedDatasetReader", "SnapshotChunkDataset", "ListSnapshotChunksDataset",
    "CacheDataset", "CacheDatasetV2", "DatasetToTFRecord", "ExperimentalDatasetToTFRecord",
    "SummaryWriter", "CreateSummaryFileWriter", "CreateSummaryDbWriter",
    "DebugIdentity", "DebugIdentityV2", "DebugIdentityV3", "DebugNanCount", "DebugNumericSummary",
}  # fmt: skip
_PROCESSES = {
    "PyFunc", "PyFuncStateless", "EagerPyFunc", "Abort", "RemoteCall", "XlaCustomCall", "XlaCustomCallV2",
    "RpcServer", "RpcServerStart", "RpcServerRegister", "RpcClient", "RpcCall",
    "DataServiceDataset", "DataServiceDatasetV2", "DataServiceDatasetV3", "DataServiceDatasetV4",
    "RegisterDataset", "RegisterDatasetV2",
}  # fmt: skip
#: Ops that touch files or processes.
UNSAFE_OPS = frozenset(_FILES | _PROCESSES)
#: Ops by which variables are saved and restored; in the loader's use of them, and in nothing else.
_SAVER_OPS = frozenset({"SaveV2", "RestoreV2", "MergeV2Checkpoints"})
#: Ops that read a vocabulary: from a file of the model itself, or from any other.
_TABLE_OPS = frozenset({"InitializeTableFromTextFile", "InitializeTableFromTextFileV2"})
#: Ops whose inputs are a function's arguments, one for one.
_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
#: Attributes that may name a file, and what they begin with where they do not.
_ATTRIBUTES = {
    "PrintV2": ("output_stream", (b"stdout", b"stderr", b"log(")),
    "DecodeProtoV2": ("descriptor_source", (b"", b"local://", b"bytes://")),
    "EncodeProto": ("descriptor_source", (b"", b"local://", b"bytes://")),
}


class _Node(NamedTuple):
    op: str
    inputs: list[str]  # names of nodes
    calls: set[str]  # names of functions
    attributes: dict[str, bytes]


def unsafe_ops(model: SavedModelFile) -> list[str]:
    """Return the ops of a model that touch files or processes, sorted; the model is not loaded.

    Parameters
    ----------
    model : SavedModelFile
        What its file says.
    """
    nodes, functions, arguments = _graph(model.graph)
    loader, others = _roots(model.graph)
    own_files = _assets(model.graph)
    run, called = _reached(others, nodes, functions)

    def is_own_file(value: str, function: str) -> bool:
        """Whether a value in a function (of the graph itself, "") is the path of a file that the model brings along."""
        if value in arguments.get(function, ()):
            place, bodies = arguments[function].index(value), [("", nodes), *functions.items()]
            calls = [(node, name) for name, body in bodies for node in body.values() if function in node.calls]
            return bool(calls) and all(n.op in _CALLS and is_own_file(n.inputs[place], name) for n, name in calls)
        if function or value in own_files:
            return not function
        node = nodes.get(value)
        if node is None or node.op != "ReadVariableOp":
            return False
        # The loader puts the path into a variable, which is read; nothing else may write to it.
        users = [user for user in nodes.values() if node.inputs[0] in user.inputs]
        harmless = ("ReadVariableOp", "VarIsInitializedOp")
        return all(n.op in harmless or (n.op == "AssignVariableOp" and n.inputs[1] in own_files) for n in users)

    def is_unsafe(node: _Node, function: str, by_request: bool) -> bool:
        if node.op in _TABLE_OPS:
            return not is_own_file(node.inputs[1], function)
        return node.op in UNSAFE_OPS or _names_a_file(node) or (by_request and node.op in _SAVER_OPS)

    found = {node.op for name, node in nodes.items() if is_unsafe(node, "", name in run)}
    for name, body in functions.items():
        found |= {node.op for node in body.values() if is_unsafe(node, name, name in called)}
    # To load a model is to restore its variables, not to save them.
    run, called = _reached(loader, nodes, functions)
    loading = [nodes[name] for name in run] + [node for name in called for node in functions.get(name, {}).values()]
    found |= {node.op for node in loading} & (_SAVER_OPS - {"RestoreV2"})
    return sorted(found)


def check_ops(model: SavedModelFile, path: object, allowed: Collection[str] = ()) -> None:
    """Refuse a model with ops that touch files or processes.

    Parameters
    ----------
    model : SavedModelFile
        What its file says.
    path : str or Path
        What to call it.
    allowed : collection of str
        Ops that are let through.

    Raises
    ------
    ModelFileError
        If it has others.
    """
    refused = [op for op in unsafe_ops(model) if op not in allowed]
    if refused:
        flags = " ".join(f"--allow-op {op}" for op in refused)
        raise ModelFileError(
            f"{path} has ops that touch files or processes: {', '.join(refused)}. They would run with your rights. "
            f"Load it only if you know who made it, with {flags} (in Python: allow_ops=)."
        )


def _names_a_file(node: _Node) -> bool:
    name, harmless = _ATTRIBUTES.get(node.op, (None, ()))
    value = node.attributes.get(name, b"")
    return name is not None and bool(value) and not value.startswith(tuple(filter(None, harmless)))


def _roots(graph: memoryview) -> tuple[set[str], set[str]]:
    """Return the nodes that the loader runs to restore variables, and those that it or a request runs otherwise."""
    loader, others = set(), set()
    for number, value in fields(graph):
        if number == 3:  # the saver
            loader |= {_node(_string(value, 3))} - {""}
        elif number == 5:  # a signature: name, then its message
            for signature in _messages(value, 2):
                for tensors in _messages(signature, 2):  # outputs
                    others |= {_node(_string(info, 1)) for info in _messages(tensors, 2)}
        elif number == 4:  # a collection, such as that of the main op
            for collection in _messages(value, 2):
                for names in _messages(collection, 1):
                    others |= {_node(bytes(name).decode(errors="replace")) for name in _messages(names, 1)}
    return loader, others - {""}


def _assets(graph: memoryview) -> set[str]:
    """Return the nodes into which the loader puts the paths of the model's own files."""
    files = _messages(graph, 6)
    return {_node(_string(info, 1)) for file in files for info in _messages(file, 1)}


def _reached(roots: set[str], nodes, functions) -> tuple[set[str], set[str]]:
    """Return the nodes that roots depend on, and the functions that these call."""
    seen, called, waiting = set(), set(), list(roots)
    while waiting:
        name = waiting.pop()
        if name in seen or name not in nodes:
            continue
        seen.add(name)
        waiting += nodes[name].inputs
        called |= nodes[name].calls
    waiting = list(called)
    while waiting:
        for node in functions.get(waiting.pop(), {}).values():
            waiting += node.calls - called
            called |= node.calls
    return seen, called


def _graph(graph: memoryview) -> tuple[dict[str, _Node], dict[str, dict[str, _Node]], dict[str, list[str]]]:
    """Return the nodes of a graph by name, those of each of its functions, and what their arguments are called."""
    nodes: dict[str, _Node] = {}
    functions: dict[str, dict[str, _Node]] = {}
    arguments: dict[str, list[str]] = {}
    for definition in _messages(graph, 2):
        nodes |= dict(map(_parsed, _messages(definition, 1)))
        for library in _messages(definition, 2):
            for function in _messages(library, 1):
                (head,) = _messages(function, 1)
                name = _string(head, 1)
                arguments[name] = [_string(argument, 1) for argument in _messages(head, 2)]
                functions[name] = dict(map(_parsed, _messages(function, 3)))
    named = set(functions)
    for some in [nodes, *functions.values()]:
        for name, node in some.items():
            if node.op in named:  # a function that is called by its name
                some[name] = node._replace(calls=node.calls | {node.op})
    return nodes, functions, arguments


def _parsed(node: memoryview) -> tuple[str, _Node]:
    name, op, inputs, calls, attributes = "", "", [], set(), {}
    for number, value in fields(node):
        if number == 1:
            name = bytes(value).decode(errors="replace")
        elif number == 2:
            op = bytes(value).decode(errors="replace")
        elif number == 3:
            inputs.append(_node(bytes(value).decode(errors="replace")))
        elif number == 5:
            for attribute in _messages(value, 2):
                for kind, content in fields(attribute):
                    if kind == 10:
                        calls.add(_string(content, 1))
                    elif kind == 1:  # a list
                        calls |= {_string(function, 1) for function in _messages(content, 9)}
                    elif kind == 2:
                        attributes[_string(value, 1)] = bytes(content)
    return name, _Node(op, inputs, calls, attributes)


def _node(tensor: str) -> str:
    """Return the node of a tensor, or of a control input."""
    return tensor.removeprefix("^").partition(":")[0]


def _messages(data: memoryview, number: int) -> list[memoryview]:
    return [value for field, value in fields(data) if field == number and not isinstance(value, int)]


def _string(data: memoryview, number: int) -> str:
    found = _messages(data, number)
    return bytes(found[-1]).decode(errors="replace") if found else ""
