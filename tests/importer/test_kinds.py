"""Models that no backend runs are called what they are, and the sentence leads on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from inference.importer.findings import ImporterError
from inference.importer.kinds import architecture_of, kind_by_config, kind_by_graph
from tests.importer.models import added
from tests.support.decoders import write_json


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        ({"architectures": ["T5ForConditionalGeneration"], "model_type": "t5"}, "is an encoder-decoder"),
        ({"architectures": ["MarianMTModel"], "model_type": "marian"}, "is an encoder-decoder"),
        ({"architectures": ["BartForConditionalGeneration"], "model_type": "bart"}, "is an encoder-decoder"),
        (
            {"architectures": ["NewForConditionalGeneration"], "is_encoder_decoder": True},
            "an encoder-decoder",
        ),
        (
            {"architectures": ["WhisperForConditionalGeneration"], "model_type": "whisper"},
            "of sounds, an enc",
        ),
        ({"architectures": ["LlavaForConditionalGeneration"], "vision_config": {}}, "vision-language model"),
        ({"model_type": "vision-encoder-decoder"}, "vision-language model"),
        ({"architectures": ["BertForTokenClassification"]}, "labels each token"),
        ({"architectures": ["BertForQuestionAnswering"]}, "marks the answer"),
        ({"architectures": ["ViTForImageClassification"]}, "labels images"),
    ],
)
def test_the_kind_is_said_with_a_way_out(config: dict[str, Any], kind: str) -> None:
    sentence = kind_by_config(config, {})
    assert sentence is not None
    assert kind in sentence
    assert sentence.startswith(architecture_of(config, {}))
    assert "convert" not in sentence


@pytest.mark.parametrize(
    "config",
    [
        {"architectures": ["LlamaForCausalLM"]},
        {"architectures": ["BertForSequenceClassification"]},
        {"architectures": ["T5EncoderModel"], "is_encoder_decoder": True},
        {"architectures": ["CLIPModel"], "vision_config": {}, "text_config": {}},
        {"architectures": 7, "model_type": None},
        {},
    ],
)
def test_other_models_have_no_such_kind(config: dict[str, Any]) -> None:
    assert kind_by_config(config, {}) is None


@pytest.mark.parametrize(
    ("inputs", "outputs", "kind"),
    [
        (["input_ids", "decoder_input_ids"], ["logits"], "encoder-decoder"),
        (["input_ids", "encoder_hidden_states"], ["logits"], "encoder-decoder"),
        (["inputs_embeds", "attention_mask"], ["logits"], "reads embeddings"),
        (["input_features"], ["last_hidden_state"], "sounds"),
        (["sample", "timestep"], ["out"], "diffusion"),
        (["input_ids"], ["start_logits", "end_logits"], "marks the answer"),
        (["pixel_values"], ["logits"], "labels images"),
        (["pixel_values"], ["logits", "pred_boxes"], "finds objects"),
    ],
)
def test_the_graph_tells_the_kind_where_no_file_does(
    inputs: list[str], outputs: list[str], kind: str
) -> None:
    assert kind in (kind_by_graph(inputs, outputs, "") or "")


def test_builder_exports_of_several_parts_are_vision_language_models() -> None:
    genai = {"model": {"type": "phi3v", "vision": {"filename": "v.onnx"}, "decoder": {}}}
    assert (kind_by_config({}, genai) or "").startswith("phi3v is a vision-language model")


@pytest.mark.parametrize(
    ("inputs", "output", "config", "sentence"),
    [
        (["inputs_embeds"], "logits", {}, "^The model reads embeddings"),
        (
            ["inputs_embeds"],
            "logits",
            {"architectures": ["LlavaForConditionalGeneration"], "vision_config": {}},
            "^LlavaForConditionalGeneration is a vision-language model",
        ),
        (["x", "encoder_hidden_states"], "logits", {"model_type": "marian"}, "^marian is an encoder-decoder"),
        (["x"], "logits", {"architectures": ["BertForTokenClassification"]}, "labels each token"),
        (["pixel_values"], "logits", {"architectures": ["ViTForImageClassification"]}, "labels images"),
        (["x"], "logits", {}, "--task text-generation-with-past"),
    ],
)
def test_a_graph_is_refused_by_the_kind_of_its_model(
    tmp_path: Path, inputs: list[str], output: str, config: dict[str, Any], sentence: str
) -> None:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 4]) for name in inputs]
    result = helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", 4])
    graph = helper.make_graph([helper.make_node("Neg", inputs[:1], [output])], "g", values, [result])
    (tmp_path / "model").mkdir()
    onnx.save(helper.make_model(graph), str(tmp_path / "model" / "model.onnx"))
    write_json(tmp_path / "model" / "config.json", config)
    with pytest.raises(ImporterError, match=sentence) as refused:
        added(tmp_path / "model", tmp_path / "deployments")
    assert "models convert" not in str(refused.value)
