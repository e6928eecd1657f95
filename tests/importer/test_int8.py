import json
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from inference.backends import BACKENDS
from inference.cards.card import CardError, Deployment, load
from inference.importer.int8 import SAMPLE_TEXTS, QuantizationError, QuantizerMissing, cosine_loss, write_int8
from inference.settings import Settings
from tests.support import models
from tests.support.decoders import write_decoder
from tests.support.encoders import write_text_encoder
from tools.starter_embeddings.build import FOLDER, make

SETTINGS = Settings(threads=1)
TEXTS = ("a", "low tide", "A ship passes the lighthouse before dawn.")


def in_int8(folder: Path, target: Path) -> Deployment:
    """A copy of a deployment whose model is the 8-bit one."""
    shutil.copytree(folder, target)
    write_int8(folder / "model.onnx", target / "model.onnx")
    card = json.loads((target / "model.json").read_bytes())
    (target / "model.json").write_text(json.dumps({**card, "name": target.name}))
    return load(target)


def test_weights_are_int8_with_a_scale_a_column(tmp_path: Path) -> None:
    folder = write_text_encoder(tmp_path)
    other = in_int8(folder, tmp_path / "tiny-int8")
    graph = onnx.load(other.folder / "model.onnx").graph
    weights = [one for one in graph.initializer if one.data_type == TensorProto.INT8 and len(one.dims) == 2]
    scales = [one for one in graph.initializer if one.name.endswith("_scale")]
    assert [list(one.dims) for one in weights] == [[16, 16]]
    assert [list(one.dims) for one in scales] == [[16]]  # one a column
    loss = cosine_loss(load(folder), other, SETTINGS, TEXTS)
    assert 0 < loss.mean <= loss.largest < 0.01
    assert [path.name for path in other.folder.glob(".int8-*")] == []
    with pytest.raises(QuantizationError, match=r"model\.onnx is in int8 already"):
        write_int8(other.folder / "model.onnx", tmp_path / "again.onnx")


def test_loss_between_equal_models_is_zero(tmp_path: Path) -> None:
    deployment = load(write_text_encoder(tmp_path))
    loss = cosine_loss(deployment, deployment, SETTINGS, TEXTS)
    assert abs(loss.mean) < 1e-6
    assert abs(loss.largest) < 1e-6


def test_loss_between_unrelated_models_is_large(tmp_path: Path) -> None:
    first, second = (load(write_text_encoder(tmp_path, name=f"seed-{seed}", seed=seed)) for seed in (1, 2))
    loss = cosine_loss(first, second, SETTINGS, TEXTS)
    assert loss.mean > 0.3
    assert loss.largest >= loss.mean


def test_loss_of_the_starter_encoder_is_small(tmp_path: Path) -> None:
    make()
    other = in_int8(FOLDER, tmp_path / "minilm-int8")
    float_size, int8_size = ((folder / "model.onnx").stat().st_size for folder in (FOLDER, other.folder))
    assert int8_size < 0.7 * float_size  # the table of words stays as it is, and is half of it
    loss = cosine_loss(load(FOLDER), other, SETTINGS)
    assert loss.mean < 0.02
    assert loss.largest < 0.04
    assert str(loss).startswith("cosine to the original 0.9")


async def test_int8_vectors_of_a_batch_are_near_those_of_texts_alone(tmp_path: Path) -> None:
    make()
    other = in_int8(FOLDER, tmp_path / "minilm-int8")
    model = BACKENDS[other.card.backend].open(other, SETTINGS)
    inputs = models.text_tokenizer(model).encode_batch(SAMPLE_TEXTS, special=True)
    together = await models.text_embedder(model).embed(inputs)
    alone = np.concatenate([await models.text_embedder(model).embed([ids]) for ids in inputs])
    model.close()
    cosines = (together * alone).sum(axis=1)
    assert cosines.min() > 0.96
    assert cosines.mean() > 0.98


def test_a_missing_onnx_package_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_text_encoder(tmp_path)
    for name in [name for name in sys.modules if name.startswith("onnxruntime.quantization")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(QuantizerMissing, match="pip install onnx"):
        write_int8(folder / "model.onnx", tmp_path / "int8.onnx")
    assert not (tmp_path / "int8.onnx").exists()


def test_a_model_that_cannot_be_quantized_leaves_nothing(tmp_path: Path) -> None:
    garbage, target = tmp_path / "garbage.onnx", tmp_path / "int8.onnx"
    garbage.write_bytes(b"no model")
    with pytest.raises(QuantizationError, match=r"garbage\.onnx is not an ONNX model"):
        write_int8(garbage, target)
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])], "g", [value], [_named(value, "y")]
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), garbage)
    with pytest.raises(QuantizationError, match="has no matrix products"):
        write_int8(garbage, target)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["garbage.onnx"]


def _named(value: onnx.ValueInfoProto, name: str) -> onnx.ValueInfoProto:
    other = onnx.ValueInfoProto()
    other.CopyFrom(value)
    other.name = name
    return other


def test_models_that_cannot_be_compared_are_refused(tmp_path: Path) -> None:
    encoder = load(write_text_encoder(tmp_path))
    with pytest.raises(CardError, match="tiny-chat embeds no texts"):
        cosine_loss(encoder, load(write_decoder(tmp_path)), SETTINGS, TEXTS)
    golden = Path(__file__).parents[1] / "golden" / "encoders" / "bert"
    with pytest.raises(CardError, match="tiny-embeddings gives vectors of 16 numbers, bert of 24"):
        cosine_loss(encoder, load(golden), SETTINGS, TEXTS)


def test_sample_texts_are_many_and_differ() -> None:
    lengths = np.array([len(text) for text in SAMPLE_TEXTS])
    assert len(set(SAMPLE_TEXTS)) == len(SAMPLE_TEXTS) > 20
    assert lengths.max() > 20 * lengths.min()
