"""Writes deployments with tiny random encoders of texts and pictures, for the tests of all that embeds.

The tokenizer has one token for every byte, then `[PAD]`, `[CLS]` and `[SEP]`; a text becomes
`[CLS]`, its bytes, `[SEP]`. Every token's vector depends on all tokens of its input, so that a mask or a
pooling that is wrong shows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

from tests.support.decoders import byte_alphabet, write_json

DIMENSIONS = 16
CONTEXT = 64
EDGE, PATCH = 32, 8
"""Pixels of a picture's side and of a patch's."""
PATCHES = (EDGE // PATCH) ** 2
PAD, CLS, SEP = 256, 257, 258
"""The ids of the special tokens."""
VOCABULARY = 259
TASKS = 3
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
MEAN_POOLING = {"word_embedding_dimension": DIMENSIONS, "pooling_mode_mean_tokens": True}
PARAMETERS: Mapping[str, Any] = {"dimensions": {}, "encoding_format": {}}
PREPROCESSOR: Mapping[str, Any] = {
    "do_convert_rgb": True,
    "do_resize": True,
    "size": {"shortest_edge": EDGE},
    "resample": 3,
    "do_center_crop": True,
    "crop_size": {"height": EDGE, "width": EDGE},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
}
"""CLIP's, for smaller pictures."""


def write_text_encoder(
    folder: Path,
    *,
    name: str = "tiny-embeddings",
    seed: int = 0,
    inputs: Sequence[str] = INPUTS,
    output: Literal["last_hidden_state", "sentence_embedding"] = "last_hidden_state",
    card: Mapping[str, Any] | None = None,
) -> Path:
    """A deployment in `folder`/`name`, which is returned; `card` overrides keys of its model.json.

    Pooling (mean) and normalising are told by modules.json, the context by sentence_bert_config.json.
    """
    target = folder / name
    (target / "1_Pooling").mkdir(parents=True)
    onnx.save(text_graph(seed, inputs=inputs, output=output), target / "model.onnx")
    byte_tokenizer().save(str(target / "tokenizer.json"))
    steps = {"": "Transformer", "1_Pooling": "Pooling", "2_Normalize": "Normalize"}
    modules = [{"path": path, "type": f"sentence_transformers.models.{step}"} for path, step in steps.items()]
    write_json(target / "modules.json", modules)
    write_json(target / "1_Pooling" / "config.json", MEAN_POOLING)
    write_json(target / "sentence_bert_config.json", {"max_seq_length": CONTEXT})
    write_json(target / "config.json", {"max_position_embeddings": 2 * CONTEXT, "pad_token_id": PAD})
    write_json(target / "model.json", _card(name, "embeddings", "onnx-text-encoder", {}) | dict(card or {}))
    return target


def write_image_encoder(
    folder: Path,
    *,
    name: str = "tiny-images",
    with_text: bool = True,
    seed: int = 0,
    text_inputs: Sequence[str] = ("input_ids", "attention_mask"),
    preprocessor: Mapping[str, Any] = PREPROCESSOR,
    card: Mapping[str, Any] | None = None,
) -> Path:
    """A dual encoder in `folder`/`name`, or a vision tower alone; otherwise as `write_text_encoder`."""
    target = folder / name
    target.mkdir(parents=True)
    onnx.save(vision_graph(seed), target / "vision_model.onnx")
    write_json(target / "preprocessor_config.json", preprocessor)
    text_config = {"max_position_embeddings": CONTEXT, "pad_token_id": PAD}
    write_json(target / "config.json", {"vision_config": {"patch_size": PATCH}, "text_config": text_config})
    files = {"model": "vision_model.onnx"}
    if with_text:
        graph = text_graph(seed + 1, inputs=text_inputs, output="text_embeds")
        onnx.save(graph, target / "text_model.onnx")
        byte_tokenizer().save(str(target / "tokenizer.json"))
        files |= {"text_model": "text_model.onnx"}
    made = _card(name, "image-embeddings", "onnx-image-encoder", files) | dict(card or {})
    write_json(target / "model.json", made)
    return target


def byte_tokenizer() -> Tokenizer:
    """Byte b is token b; no merges."""
    alphabet = byte_alphabet()
    tokenizer = Tokenizer(models.BPE(vocab={text: byte for byte, text in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(text, special=True) for text in ("[PAD]", "[CLS]", "[SEP]")])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", CLS), ("[SEP]", SEP)]
    )
    return tokenizer


def text_graph(
    seed: int,
    *,
    inputs: Sequence[str] = INPUTS,
    output: str = "last_hidden_state",
    shape: Sequence[str | int] = ("batch", "sequence"),
    number: int = TensorProto.INT64,
    task_shape: Sequence[int] = (),
) -> onnx.ModelProto:
    """hidden = tanh(embedding @ weight + mean of the embeddings).

    Any `output` but last_hidden_state is the mean of these over an input's tokens.
    Inputs beyond `INPUTS`, position_ids and task_id (of `TASKS`, one a run) are declared and not read.
    """
    build = _Builder(seed)
    tables = {"input_ids": VOCABULARY, "token_type_ids": 2, "position_ids": 2 * CONTEXT, "task_id": TASKS}
    rows = [build.embedding(name, tables[name]) for name in inputs if name in tables]
    embedded = build.sum(rows)
    masked = "attention_mask" in inputs
    weights = build.weights_of("attention_mask" if masked else None, embedded)
    context = build.mean(embedded, weights)
    result = hidden = build.add("Tanh", build.add("Add", build.linear(embedded, DIMENSIONS), context))
    result_shape: tuple[str | int, ...] = ("batch", "sequence", DIMENSIONS)
    if output != "last_hidden_state":
        result = build.add("Squeeze", build.mean(hidden, weights), build.constant(np.array([1])))
        result_shape = ("batch", DIMENSIONS)
    shapes = {"task_id": task_shape}
    declared = [helper.make_tensor_value_info(name, number, list(shapes.get(name, shape))) for name in inputs]
    return build.model(declared, result, output, result_shape)


def vision_graph(seed: int) -> onnx.ModelProto:
    """Patches through one convolution, averaged, times a matrix."""
    build = _Builder(seed)
    kernel = build.random(DIMENSIONS, 3, PATCH, PATCH)
    patches = build.add("Conv", "pixel_values", kernel, strides=[PATCH, PATCH])
    mean = build.add("Flatten", build.add("GlobalAveragePool", build.add("Tanh", patches)))
    result = build.linear(mean, DIMENSIONS)
    pixels = helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["batch", 3, EDGE, EDGE])
    return build.model([pixels], result, "image_embeds", ["batch", DIMENSIONS])


class _Builder:
    """Nodes in the order of computation; each method returns the name of what it adds."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        name = f"{op}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(op, list(inputs), [name], **attributes))
        return name

    def constant(self, values: NDArray[Any]) -> str:
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(values, name))
        return name

    def random(self, *shape: int) -> str:
        return self.constant(self._random.standard_normal(shape).astype(np.float32) * np.float32(0.5))

    def embedding(self, name: str, rows: int) -> str:
        return self.add("Gather", self.random(rows, DIMENSIONS), name)

    def sum(self, names: Sequence[str]) -> str:
        return names[0] if len(names) == 1 else self.add("Sum", *names)

    def linear(self, name: str, size: int) -> str:
        return self.add("MatMul", name, self.random(DIMENSIONS, size))

    def weights_of(self, mask: str | None, like: str) -> str:
        """[batch, sequence, 1]: 1 on tokens, 0 on padding; all 1 without a mask."""
        if mask is not None:
            return self.add(
                "Unsqueeze", self.add("Cast", mask, to=TensorProto.FLOAT), self.constant(np.array([2]))
            )
        zeros = self.add("Mul", like, self.constant(np.zeros(1, np.float32)))
        return self.add("Add", self.add("ReduceMax", zeros, axes=[2]), self.constant(np.ones(1, np.float32)))

    def mean(self, name: str, weights: str) -> str:
        """[batch, 1, dimensions]: the weighted mean over the sequence."""
        along = self.constant(np.array([1]))
        total = self.add("ReduceSum", self.add("Mul", name, weights), along)
        return self.add("Div", total, self.add("ReduceSum", weights, along))

    def model(
        self, inputs: Sequence[onnx.ValueInfoProto], result: str, output: str, shape: Sequence[str | int]
    ) -> onnx.ModelProto:
        self._nodes.append(helper.make_node("Identity", [result], [output]))
        outputs = [helper.make_tensor_value_info(output, TensorProto.FLOAT, list(shape))]
        graph = helper.make_graph(self._nodes, "tiny", list(inputs), outputs, self._constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _card(name: str, kind: str, backend: str, files: Mapping[str, str]) -> dict[str, Any]:
    return {
        "name": name,
        "provider": "tests",
        "type": kind,
        "backend": backend,
        "files": dict(files),
        "embedding": {"dimensions": DIMENSIONS},
        "parameters": dict(PARAMETERS),
    }
