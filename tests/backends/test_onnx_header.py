"""The inputs and operators of ONNX files, as onnxruntime and onnx read them."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from inference.backends.onnx_header import ELEMENT_TYPES, TensorInfo, read_header
from inference.importer.graph_facts import read_graph

GOLDEN = Path(__file__).parents[1] / "golden"
GRAPHS = sorted(path.relative_to(GOLDEN) for path in GOLDEN.glob("*/*/*.onnx"))


@pytest.mark.parametrize("path", GRAPHS, ids=str)
def test_header_is_that_of_the_runtime_and_the_operators_those_of_onnx(path: Path) -> None:
    header = read_header(GOLDEN / path)
    session = ort.InferenceSession(GOLDEN / path, providers=["CPUExecutionProvider"])
    assert [(tensor.name, tensor.type) for tensor in header.inputs] == [
        (node.name, node.type) for node in session.get_inputs()
    ]
    assert [tensor.shape for tensor in header.inputs] == [
        tuple("" if size is None else size for size in node.shape) for node in session.get_inputs()
    ]
    assert header.operators == set(read_graph(GOLDEN / path).operators)


def graph_file(folder: Path, *, element: int = TensorProto.FLOAT, weights: int = 0) -> Path:
    tensor = helper.make_tensor_value_info("x", element, ["batch", None, 7])
    branch = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "branch", [], [])
    nodes = [
        helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch),
        helper.make_node("Constant", [], ["k"], value_floats=[1.0, 2.0]),
    ]
    constant = helper.make_tensor("w", TensorProto.FLOAT, [weights], bytes(4 * weights), raw=True)
    model = helper.make_model(helper.make_graph(nodes, "g", [tensor], [], [constant]))
    onnx.save(model, folder / "model.onnx")
    return folder / "model.onnx"


def test_outputs_tell_a_decoder_from_an_encoder() -> None:
    decoder = read_header(GOLDEN / "decoders" / "optimum-granite" / "model.onnx")
    encoder = read_header(next(GOLDEN.glob("encoders/*/model.onnx")))
    assert [one.name for one in decoder.outputs[:2]] == ["logits", "present.0.key"]
    assert (decoder.generates, encoder.generates) == (True, False)


def test_initializers_among_the_inputs_need_no_value(tmp_path: Path) -> None:
    model = onnx.load(graph_file(tmp_path, weights=3))
    model.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [3]))
    onnx.save(model, tmp_path / "model.onnx")
    assert [one.name for one in read_header(tmp_path / "model.onnx").inputs] == ["x"]


def test_operators_of_subgraphs_are_among_them(tmp_path: Path) -> None:
    header = read_header(graph_file(tmp_path, weights=1000))
    assert header.inputs == (TensorInfo("x", "tensor(float)", ("batch", "", 7)),)
    assert header.operators == {"If", "Neg", "Constant"}


@pytest.mark.parametrize("element", ELEMENT_TYPES)
def test_types_are_named_as_the_runtime_names_them(tmp_path: Path, element: int) -> None:
    value = helper.make_tensor_value_info("x", element, [1])
    identity = helper.make_node("Identity", ["x"], ["y"])
    result = helper.make_tensor_value_info("y", element, [1])
    graph = helper.make_graph([identity], "g", [value], [result])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.save(model, tmp_path / "model.onnx")
    session = ort.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].type == ELEMENT_TYPES[element]
    assert read_header(tmp_path / "model.onnx").inputs[0].type == ELEMENT_TYPES[element]


def test_type_without_a_name_is_its_number(tmp_path: Path) -> None:
    assert read_header(graph_file(tmp_path, element=TensorProto.STRING)).inputs[0].type == "type 8"


ENDLESS = b"\x08" + b"\xff" * 1_000_000
"""A field whose number never ends."""


@pytest.mark.parametrize(
    "content", [b"", b"no model", b"{}", b"\xff" * 40, b"\x3a\x7f", b"\x08\x01", ENDLESS], ids=range(7)
)
def test_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(ValueError, match=r".+"):
        read_header(tmp_path / "model.onnx")


def test_file_that_is_cut_off_is_refused_wherever_it_ends(tmp_path: Path) -> None:
    content = graph_file(tmp_path, weights=4).read_bytes()
    graph_end = content.rindex(b"B")  # opset_import, the last field of the model, follows the graph
    for end in range(1, graph_end):
        (tmp_path / "cut.onnx").write_bytes(content[:end])
        with pytest.raises(ValueError, match=r".+"):
            read_header(tmp_path / "cut.onnx")
