"""A folder of model files becomes a deployment that serves, or nothing is added and the reason reported."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from tokenizers import Tokenizer as Words
from tokenizers.models import WordLevel

from inference.conformance.check import probe_deployment
from inference.importer import add, deployment_folder
from inference.importer.add import AddOptions
from inference.importer.findings import ImporterError
from inference.importer.plan import PlanOptions
from inference.importer.sources import FolderSource
from inference.registry.registry import Registry
from inference.settings import Settings
from tests.importer.models import END, END_OF_TEXT, HERMES, added, bare, built, card, decoder, write_external
from tests.support.decoders import write_json
from tests.support.encoders import CONTEXT, DIMENSIONS, text_graph, write_image_encoder, write_text_encoder
from tests.support.models import text_embedder
from tools.starter_embeddings.build import FOLDER, make

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture
def into(tmp_path: Path) -> Path:
    return tmp_path / "deployments"


def served(into: Path) -> list[str]:
    registry = Registry(Settings(models=(into,)))
    assert registry.broken == []
    return [deployment.name for deployment in registry.deployments]


async def problems(name: str, into: Path) -> list[str]:
    found = [one async for one in probe_deployment(name, Settings(models=(into,), max_tokens=16))]
    return [f"{one.parameter}: {one.problem}" for one in found if one.problem]


def visible(into: Path) -> list[str]:
    return sorted(path.name for path in into.iterdir() if not path.name.startswith("."))


def test_a_decoder_of_the_builder_serves_and_honours_its_declared_parameters(
    tmp_path: Path, into: Path
) -> None:
    source = built(tmp_path)
    (source / "chat_template.jinja").write_text(HERMES)
    reports: list[str] = []
    made = card(added(source, into, reports))
    assert served(into) == ["tiny-int4"]
    assert made["type"] == "chat-completions"
    assert made["context"] == 512
    assert made["parameters"]["tools"] == {"dialect": "hermes"}
    assert "safe_prompt" not in made["extras"]
    assert json.loads((into / "tiny-int4" / "generation_config.json").read_text())["eos_token_id"] == [
        END_OF_TEXT,
        END,
    ]
    assert asyncio.run(problems("tiny-int4", into)) == []


@pytest.mark.parametrize("copy", [True, False])
def test_the_source_folder_is_not_changed(
    tmp_path: Path, into: Path, copy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deployment_folder, "LARGE", 1)
    source = built(tmp_path)
    before = {path.name: path.read_bytes() for path in source.iterdir()}
    data = added(source, into, copy=copy) / "model.onnx.data"
    assert data.samefile(source / data.name) is not copy
    assert {path.name: path.read_bytes() for path in source.iterdir()} == before


def test_a_decoder_without_a_chat_template_completes_texts(tmp_path: Path, into: Path) -> None:
    source = decoder(tmp_path)
    (source / "chat_template.jinja").unlink()
    made = card(added(source, into))
    assert made["type"] == "text-generation"
    assert "max_completion_tokens" not in made["extras"]
    assert "tools" not in made["parameters"]


def test_a_text_encoder_is_described_by_its_files(tmp_path: Path, into: Path) -> None:
    source = bare(write_text_encoder(tmp_path))
    prompts = {"prompts": {"query": "q: ", "passage": "p: ", "bitext": "b: "}, "matryoshka_dims": [16, 8]}
    write_json(source / "config_sentence_transformers.json", prompts)
    reports: list[str] = []
    made = card(added(source, into, reports))
    assert "Pooling is mean (modules.json)." in reports
    assert made["embedding"] == {
        "normalize": True,
        "dimensions": DIMENSIONS,
        "matryoshka": [8, 16],
        "prompts": {"query": "q: ", "document": "p: "},
    }
    assert made["context"] == CONTEXT
    assert made["parameters"] == {"dimensions": {}, "encoding_format": {}}


def test_a_missing_pooling_is_assumed_and_reported_and_can_be_set(tmp_path: Path, into: Path) -> None:
    source = bare(write_text_encoder(tmp_path))
    (source / "modules.json").unlink()
    reports: list[str] = []
    assert card(added(source, into, reports))["embedding"]["pooling"] == "mean"
    assert any("mean, the most common, is assumed" in sentence for sentence in reports)
    assert card(added(source, into, name="other", pooling="cls"))["embedding"]["pooling"] == "cls"


def test_an_unknown_vector_size_is_taken_from_the_first_run(tmp_path: Path, into: Path) -> None:
    source = bare(write_text_encoder(tmp_path))
    graph = onnx.load(str(source / "model.onnx"))
    graph.graph.output[0].type.tensor_type.shape.dim[2].dim_param = "hidden"
    onnx.save(graph, str(source / "model.onnx"))
    assert card(added(source, into))["embedding"]["dimensions"] == DIMENSIONS


@pytest.mark.parametrize("with_text", [True, False])
def test_an_image_encoder_is_described_with_and_without_a_text_tower(
    tmp_path: Path, into: Path, with_text: bool
) -> None:
    made = card(added(bare(write_image_encoder(tmp_path, with_text=with_text)), into))
    assert made["type"] == "image-embeddings"
    assert ("text_model" in made["files"]) is with_text
    assert made["embedding"] == {"normalize": True, "dimensions": DIMENSIONS}


def test_the_chosen_variant_comes_with_its_data_and_the_files_of_folders_above(
    tmp_path: Path, into: Path
) -> None:
    source = decoder(tmp_path)
    (source / "onnx").mkdir()
    graph = onnx.load(str(source / "model.onnx"))
    for name in ("model_q4.onnx", "model_fp16.onnx"):
        write_external(graph, source / "onnx" / name, f"{name}_data")
    (source / "model.onnx").rename(source / "onnx" / "model.onnx")
    reports: list[str] = []
    options = AddOptions("tiny", into, plan_options=PlanOptions(variant="q4"))
    deployment = add.add(FolderSource(source), options, Settings(models=(into,)), reports.append)
    assert card(deployment)["files"]["model"] == "model_q4_gathered.onnx"
    assert (deployment / "model_q4.onnx_data").is_file()
    assert not (deployment / "model_fp16.onnx").exists()


def test_the_context_is_limited_by_the_memory_of_the_kv_cache(tmp_path: Path, into: Path) -> None:
    source = decoder(tmp_path)
    write_json(source / "config.json", {"max_position_embeddings": 131072, "eos_token_id": END_OF_TEXT})
    options = AddOptions("tiny", into, opens=False)
    reports: list[str] = []
    settings = Settings(models=(into,), kv_memory_mb=1)
    deployment = add.add(FolderSource(source), options, settings, reports.append)
    # 2 layers, keys and values, 2 heads of 16 float32: 512 bytes a token
    assert card(deployment)["context"] == 1024 * 1024 // 512
    assert any("INFERENCE_KV_MEMORY_MB" in sentence for sentence in reports)


def without(name: str) -> Any:
    return lambda folder: (folder / name).unlink()


def corrupted(name: str) -> Any:
    return lambda folder: (folder / name).write_bytes(b"{")


def with_logits_alone(folder: Path) -> None:
    onnx.save(text_graph(0, output="logits"), str(folder / "model.onnx"))


def with_data_outside(folder: Path) -> None:
    graph = onnx.load(str(folder / "model.onnx"))
    write_external(graph, folder / "model.onnx", "weights.bin")
    graph = onnx.load(str(folder / "model.onnx"), load_external_data=False)
    for tensor in graph.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = "../secret"
    onnx.save(graph, str(folder / "model.onnx"))


def with_data_missing(folder: Path) -> None:
    graph = onnx.load(str(folder / "model.onnx"))
    write_external(graph, folder / "model.onnx", "weights.bin")
    (folder / "weights.bin").unlink()


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (without("tokenizer.json"), "There is no tokenizer.json"),
        (corrupted("tokenizer.json"), "tokenizer.json is not a tokenizer"),
        (corrupted("config.json"), "config.json is not JSON"),
        (corrupted("chat_template.jinja"), None),
        (corrupted("model.onnx"), "model.onnx is not a readable ONNX file"),
        (without("model.onnx"), "There is no ONNX graph"),
        (with_logits_alone, "has logits and no KV cache"),
        (with_data_outside, "outside its own folder"),
        (with_data_missing, "keeps its weights in weights.bin, and that file is missing"),
    ],
)
def test_a_model_that_cannot_serve_is_refused_and_leaves_nothing(
    tmp_path: Path, into: Path, damage: Any, reason: str | None
) -> None:
    source = decoder(tmp_path)
    damage(source)
    if reason is None:
        (source / "chat_template.jinja").write_text("{% for %}")
        reason = "The chat template cannot be used"
    with pytest.raises(ImporterError, match=reason):
        added(source, into)
    assert visible(into) == []
    assert [path.name for path in into.iterdir()] in ([], [".tiny.lock"])


@pytest.mark.parametrize("place", ["weights.bin", "model.onnx_data", "1f0e9a2c-77aa", "below/weights"])
@pytest.mark.parametrize("name", ["model.onnx", "renamed.onnx"])
def test_weights_in_a_file_of_any_name_are_added_and_the_vectors_equal(
    tmp_path: Path, into: Path, name: str, place: str
) -> None:
    source = bare(write_text_encoder(tmp_path))
    plain = added(source, into, name="plain")
    (source / "below").mkdir()
    write_external(onnx.load(source / "model.onnx"), source / "model.onnx", place)
    (source / "model.onnx").rename(source / name)
    made = added(source, into, name="external")
    assert card(made)["files"]["model"] == name
    assert (made / place).is_file()
    np.testing.assert_array_equal(vectors(made), vectors(plain))


def test_a_file_for_each_tensor_is_added_and_int8_leaves_none_of_them(tmp_path: Path, into: Path) -> None:
    source = bare(write_text_encoder(tmp_path))
    before = {path.name for path in source.iterdir()}
    graph = onnx.load(source / "model.onnx")
    (source / "model.onnx").unlink()
    split: dict[str, Any] = {"all_tensors_to_one_file": False, "size_threshold": 64}
    onnx.save(graph, source / "model.onnx", save_as_external_data=True, **split)
    tensors = {path.name for path in source.iterdir()} - before
    assert len(tensors) > 1
    assert tensors < {path.name for path in added(source, into).iterdir()}
    assert not tensors & {path.name for path in added(source, into, name="small", int8=True).iterdir()}


def test_of_a_damaged_variant_the_intact_ones_are_named(tmp_path: Path, into: Path) -> None:
    source = bare(write_text_encoder(tmp_path))
    shutil.copy(source / "model.onnx", source / "model_fp16.onnx")
    (source / "model_q4.onnx").write_bytes(b"no graph")
    with_data_missing(source)
    with pytest.raises(
        ImporterError, match=r"weights.bin, and that file is missing.* has model_fp16.onnx"
    ) as one:
        added(source, into)
    assert "model_q4.onnx" not in str(one.value)


def test_weights_behind_a_link_out_of_the_folder_are_refused(tmp_path: Path, into: Path) -> None:
    source = bare(write_text_encoder(tmp_path))
    write_external(onnx.load(source / "model.onnx"), source / "model.onnx", "weights.bin")
    (source / "weights.bin").rename(tmp_path / "elsewhere")
    (source / "weights.bin").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ImporterError, match=r"weights.bin, which is a link out of its own folder"):
        added(source, into)


def vectors(deployment: Path) -> Any:
    registry = Registry(Settings(models=(deployment,)))

    async def embed() -> Any:
        model = await registry.open(registry.deployments[0], patience=60)
        return await text_embedder(model).embed([[5, 6, 7], [8, 9]])

    try:
        return asyncio.run(embed())
    finally:
        registry.close()


def test_weights_of_another_framework_are_refused_with_the_convert_command(
    tmp_path: Path, into: Path
) -> None:
    source = decoder(tmp_path)
    (source / "model.onnx").rename(source / "model.safetensors")
    config = json.loads((source / "config.json").read_text())
    write_json(source / "config.json", {**config, "architectures": ["LlamaForCausalLM"]})
    with pytest.raises(ImporterError, match=r"python -m inference models convert .*tiny"):
        added(source, into)


def test_a_graph_that_the_backend_refuses_is_not_added_and_the_reason_reported(
    tmp_path: Path, into: Path
) -> None:
    source = decoder(tmp_path)
    graph = onnx.load(str(source / "model.onnx"))
    graph.graph.input.add().CopyFrom(graph.graph.input[0])
    graph.graph.input[-1].name = "inputs_embeds"
    onnx.save(graph, str(source / "model.onnx"))
    with pytest.raises(ImporterError, match=r"nothing was added. files.model: .* it takes embeddings"):
        added(source, into)
    assert visible(into) == []


@pytest.mark.parametrize("name", ["../outside", "a/b", ".hidden", "", "x" * 129])
def test_a_name_that_is_not_valid_is_refused(tmp_path: Path, into: Path, name: str) -> None:
    with pytest.raises(ImporterError, match="is not a valid name"):
        added(decoder(tmp_path), into, name=name)
    assert not into.exists()


def test_a_taken_name_is_refused(tmp_path: Path, into: Path) -> None:
    source = decoder(tmp_path)
    added(source, into, opens=False)
    with pytest.raises(ImporterError, match="models remove tiny"):
        added(source, into)
    with pytest.raises(ImporterError, match="has the name TINY"):
        added(source, into, name="TINY")


def test_a_full_disk_leaves_nothing_and_a_rerun_succeeds(
    tmp_path: Path, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = decoder(tmp_path)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfile", full)
        with pytest.raises(ImporterError, match="full"):
            added(source, into)
    assert visible(into) == []
    added(source, into)
    assert served(into) == ["tiny"]


def test_the_hidden_folder_of_a_killed_run_is_ignored_and_then_removed(tmp_path: Path, into: Path) -> None:
    source = decoder(tmp_path)
    shutil.copytree(added(source, into, opens=False), into / ".other.adding")
    assert served(into) == ["tiny"]
    added(source, into, name="other", opens=False)
    assert served(into) == ["other", "tiny"]
    assert not (into / ".other.adding").exists()


def test_a_graph_that_computes_all_logits_is_edited_once_and_the_original_deleted(
    tmp_path: Path, into: Path
) -> None:
    source = decoder(tmp_path)
    deployment = added(source, into)
    assert card(deployment)["files"]["model"] == "model_gathered.onnx"
    assert not (deployment / "model.onnx").exists()
    inputs = onnx.load(str(deployment / "model_gathered.onnx")).graph.input
    assert "logits_indices" in [value.name for value in inputs]
    assert card(added(deployment, into, name="again"))["files"]["model"] == "model_gathered.onnx"


def losses(reports: list[str]) -> dict[str, tuple[float, float]]:
    """Return the reported average and least cosine by kind of sample."""
    pattern = r"sample (\w+) have a cosine to the original ([01]\.\d+) on average, ([01]\.\d+) at least"
    return {
        kind: (float(mean), float(least)) for kind, mean, least in re.findall(pattern, "\n".join(reports))
    }


def test_int8_is_compared_with_the_float_original_which_is_then_deleted(tmp_path: Path, into: Path) -> None:
    reports: list[str] = []
    deployment = added(bare(write_text_encoder(tmp_path)), into, reports, int8=True)
    assert card(deployment)["files"]["model"] == "model_int8.onnx"
    assert "8-bit weights" in card(deployment)["description"]
    assert [path.name for path in deployment.glob("*.onnx")] == ["model_int8.onnx"]
    ((mean, least),) = losses(reports).values()
    assert 0.99 < least <= mean <= 1
    assert served(into) == [deployment.name]


def test_int8_of_two_towers_reports_the_loss_of_each(tmp_path: Path, into: Path) -> None:
    source = tmp_path / "clip"
    shutil.copytree(GOLDEN / "dual_encoders" / "clip", source)
    reports: list[str] = []
    made = card(added(source, into, reports, int8=True))
    assert made["files"]["model"] == "vision_model_int8.onnx"
    assert made["files"]["text_model"] == "text_model_int8.onnx"
    measured = losses(reports)
    assert set(measured) == {"images", "texts"}
    assert all(0.998 < least <= mean < 1 for mean, least in measured.values())


def test_int8_of_the_starter_encoder_keeps_its_vectors(tmp_path: Path, into: Path) -> None:
    make()
    source = shutil.copytree(FOLDER, tmp_path / "minilm")
    reports: list[str] = []
    added(bare(source), into, reports, int8=True)
    ((mean, least),) = losses(reports).values()
    assert mean > 0.98
    assert least > 0.96


def test_int8_of_unsuitable_weights_is_refused_and_leaves_nothing(tmp_path: Path, into: Path) -> None:
    with pytest.raises(ImporterError, match="--int8 is for encoders"):
        added(decoder(tmp_path), into, int8=True)
    source = bare(write_text_encoder(tmp_path))
    once = added(source, into, name="once", int8=True)
    with pytest.raises(ImporterError, match="needs float32 weights"):
        added(once, into, name="twice", int8=True)
    assert visible(into) == ["once"]


def test_a_missing_onnx_package_is_reported_with_the_install_command(
    tmp_path: Path, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = decoder(tmp_path)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImporterError, match=r"pip install -e '\.\[models\]' in the clone"):
        added(source, into)


def test_a_tokenizer_without_bytes_declares_no_constrained_answers(tmp_path: Path, into: Path) -> None:
    source = decoder(tmp_path)
    words = {str(token): token for token in range(100)}
    Words(WordLevel(words, unk_token="0")).save(str(source / "tokenizer.json"))
    (source / "chat_template.jinja").write_text(HERMES)
    reports: list[str] = []
    made = card(added(source, into, reports))
    assert not {"response_format", "guided_regex", "guided_choice", "guided_grammar"} & {
        *made["parameters"],
        *made["extras"],
    }
    assert made["parameters"]["tool_choice"] == {"values": ["none", "auto"]}
    assert any("answers cannot be constrained" in sentence for sentence in reports)


REASONING = HERMES + "{% if enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}"


def test_reasoning_and_its_effort_are_declared_and_take_effect(tmp_path: Path, into: Path) -> None:
    source = decoder(tmp_path)
    (source / "chat_template.jinja").write_text(REASONING)
    reports: list[str] = []
    made = card(added(source, into, reports))
    assert made["reasoning"] == {"open": "<think>", "close": "</think>"}
    assert made["extras"]["reasoning_effort"] == {
        "values": ["none", "high"],
        "template": {"none": {"enable_thinking": False}, "high": {"enable_thinking": True}},
    }
    assert any("the text between them is the model's reasoning" in sentence for sentence in reports)
    assert asyncio.run(problems("tiny", into)) == []


def test_no_open_is_reported_and_opens_nothing(
    tmp_path: Path, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(add, "Registry", None)
    reports: list[str] = []
    added(decoder(tmp_path), into, reports, opens=False)
    assert any("The deployment was not opened" in sentence for sentence in reports)
