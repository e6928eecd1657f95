"""A folder of files becomes a deployment that serves, or nothing at all and a sentence."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import onnx
import pytest
from tokenizers import Tokenizer as Words
from tokenizers.models import WordLevel

from inference.conformance.check import prove
from inference.importer import add, deployment_folder
from inference.importer.findings import ImporterError
from inference.importer.plan import PlanOptions
from inference.registry.registry import Registry
from inference.settings import Settings
from tests.importer.models import END, END_OF_TEXT, HERMES, added, bare, built, card, decoder, write_external
from tests.support.decoders import write_json
from tests.support.encoders import CONTEXT, DIMENSIONS, text_graph, write_image_encoder, write_text_encoder
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
    found = [one async for one in prove(name, Settings(models=(into,), max_tokens=16))]
    return [f"{one.parameter}: {one.problem}" for one in found if one.problem]


def visible(into: Path) -> list[str]:
    return sorted(path.name for path in into.iterdir() if not path.name.startswith("."))


def test_a_decoder_of_the_builder_serves_and_does_all_it_declares(tmp_path: Path, into: Path) -> None:
    source = built(tmp_path)
    (source / "chat_template.jinja").write_text(HERMES)
    said: list[str] = []
    made = card(added(source, into, said))
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
def test_the_source_stays_as_it_was(
    tmp_path: Path, into: Path, copy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deployment_folder, "LARGE", 1)
    source = built(tmp_path)
    before = {path.name: path.read_bytes() for path in source.iterdir()}
    data = added(source, into, copy=copy) / "model.onnx.data"
    assert data.samefile(source / data.name) is not copy
    assert {path.name: path.read_bytes() for path in source.iterdir()} == before


def test_without_a_template_a_decoder_continues_texts(tmp_path: Path, into: Path) -> None:
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
    said: list[str] = []
    made = card(added(source, into, said))
    assert "Pooling is mean (modules.json)." in said
    assert made["embedding"] == {
        "normalize": True,
        "dimensions": DIMENSIONS,
        "matryoshka": [8, 16],
        "prompts": {"query": "q: ", "document": "p: "},
    }
    assert made["context"] == CONTEXT
    assert made["parameters"] == {"dimensions": {}, "encoding_format": {}}


def test_a_pooling_that_nobody_says_is_assumed_aloud_and_can_be_said(tmp_path: Path, into: Path) -> None:
    source = bare(write_text_encoder(tmp_path))
    (source / "modules.json").unlink()
    said: list[str] = []
    assert card(added(source, into, said))["embedding"]["pooling"] == "mean"
    assert any("mean is assumed" in sentence for sentence in said)
    assert card(added(source, into, name="other", pooling="cls"))["embedding"]["pooling"] == "cls"


def test_an_unknown_size_of_a_vector_is_what_the_first_run_gives(tmp_path: Path, into: Path) -> None:
    source = bare(write_text_encoder(tmp_path))
    graph = onnx.load(str(source / "model.onnx"))
    graph.graph.output[0].type.tensor_type.shape.dim[2].dim_param = "hidden"
    onnx.save(graph, str(source / "model.onnx"))
    assert card(added(source, into))["embedding"]["dimensions"] == DIMENSIONS


@pytest.mark.parametrize("with_text", [True, False])
def test_an_image_encoder_with_and_without_a_text_tower(tmp_path: Path, into: Path, with_text: bool) -> None:
    made = card(added(bare(write_image_encoder(tmp_path, with_text=with_text)), into))
    assert made["type"] == "image-embeddings"
    assert ("text_model" in made["files"]) is with_text
    assert made["embedding"] == {"normalize": True, "dimensions": DIMENSIONS}


def test_of_the_variants_one_comes_with_its_data_and_the_files_above_it(tmp_path: Path, into: Path) -> None:
    source = decoder(tmp_path)
    (source / "onnx").mkdir()
    graph = onnx.load(str(source / "model.onnx"))
    for name in ("model_q4.onnx", "model_fp16.onnx"):
        write_external(graph, source / "onnx" / name, f"{name}_data")
    (source / "model.onnx").rename(source / "onnx" / "model.onnx")
    said: list[str] = []
    deployment = added(source, into, said, wishes=PlanOptions(variant="q4"))
    assert card(deployment)["files"]["model"] == "model_q4_gathered.onnx"
    assert (deployment / "model_q4.onnx_data").is_file()
    assert not (deployment / "model_fp16.onnx").exists()


def test_the_context_is_cut_to_what_the_cache_may_take(tmp_path: Path, into: Path) -> None:
    source = decoder(tmp_path)
    write_json(source / "config.json", {"max_position_embeddings": 131072, "eos_token_id": END_OF_TEXT})
    order = {"name": "tiny", "into": into, "opens": False}
    said: list[str] = []
    settings = Settings(models=(into,), kv_memory_mb=1)
    from inference.importer.add import AddOptions, add
    from inference.importer.sources import FolderSource

    deployment = add(FolderSource(source), AddOptions(**order), settings, said.append)  # type: ignore[arg-type]
    # 2 layers, keys and values, 2 heads of 16 float32: 512 bytes a token
    assert card(deployment)["context"] == 1024 * 1024 // 512
    assert any("INFERENCE_KV_MEMORY_MB" in sentence for sentence in said)


def without(name: str) -> Any:
    return lambda folder: (folder / name).unlink()


def garbled(name: str) -> Any:
    return lambda folder: (folder / name).write_bytes(b"{")


def headless(folder: Path) -> None:
    onnx.save(text_graph(0, output="logits"), str(folder / "model.onnx"))


def wandering(folder: Path) -> None:
    graph = onnx.load(str(folder / "model.onnx"))
    write_external(graph, folder / "model.onnx", "weights.bin")
    graph = onnx.load(str(folder / "model.onnx"), load_external_data=False)
    for tensor in graph.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = "../secret"
    onnx.save(graph, str(folder / "model.onnx"))


def stray(folder: Path) -> None:
    graph = onnx.load(str(folder / "model.onnx"))
    write_external(graph, folder / "model.onnx", "weights.bin")
    (folder / "weights.bin").unlink()


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (without("tokenizer.json"), "There is no tokenizer.json"),
        (garbled("tokenizer.json"), "tokenizer.json is not a tokenizer"),
        (garbled("config.json"), "config.json is not JSON"),
        (garbled("chat_template.jinja"), None),
        (garbled("model.onnx"), "model.onnx is no ONNX file"),
        (without("model.onnx"), "There is no ONNX graph"),
        (headless, "keeps no cache"),
        (wandering, "outside its own folder"),
        (stray, "weights.bin, which did not come with it"),
    ],
)
def test_what_cannot_serve_is_refused_and_nothing_is_left(
    tmp_path: Path, into: Path, harm: Any, reason: str | None
) -> None:
    source = decoder(tmp_path)
    harm(source)
    if reason is None:
        (source / "chat_template.jinja").write_text("{% for %}")
        reason = "The chat template cannot be used"
    with pytest.raises(ImporterError, match=reason):
        added(source, into)
    assert visible(into) == []
    assert [path.name for path in into.iterdir()] in ([], [".tiny.lock"])


def test_weights_of_another_framework_name_the_command_that_converts(tmp_path: Path, into: Path) -> None:
    source = decoder(tmp_path)
    (source / "model.onnx").rename(source / "model.safetensors")
    with pytest.raises(ImporterError, match=r"python -m inference models convert .*tiny"):
        added(source, into)


def test_a_graph_that_the_backend_refuses_is_not_added_and_its_sentence_is_said(
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
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, into: Path, name: str) -> None:
    with pytest.raises(ImporterError, match="cannot be a name"):
        added(decoder(tmp_path), into, name=name)
    assert not into.exists()


def test_a_name_is_given_once(tmp_path: Path, into: Path) -> None:
    source = decoder(tmp_path)
    added(source, into, opens=False)
    with pytest.raises(ImporterError, match="models remove tiny"):
        added(source, into)
    with pytest.raises(ImporterError, match="is called TINY already"):
        added(source, into, name="TINY")


def test_a_disk_that_fills_up_leaves_nothing_and_a_rerun_succeeds(
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


def test_a_hidden_folder_that_a_killed_run_left_is_no_deployment_and_is_cleared(
    tmp_path: Path, into: Path
) -> None:
    source = decoder(tmp_path)
    shutil.copytree(added(source, into, opens=False), into / ".other.adding")
    assert served(into) == ["tiny"]
    added(source, into, name="other", opens=False)
    assert served(into) == ["other", "tiny"]
    assert not (into / ".other.adding").exists()


def test_a_graph_that_computes_all_logits_is_edited_once_and_the_original_is_dropped(
    tmp_path: Path, into: Path
) -> None:
    source = decoder(tmp_path)
    deployment = added(source, into)
    assert card(deployment)["files"]["model"] == "model_gathered.onnx"
    assert not (deployment / "model.onnx").exists()
    inputs = onnx.load(str(deployment / "model_gathered.onnx")).graph.input
    assert "logits_indices" in [value.name for value in inputs]
    assert card(added(deployment, into, name="again"))["files"]["model"] == "model_gathered.onnx"


def losses(said: list[str]) -> dict[str, tuple[float, float]]:
    """Of each kind of sample, the cosine on average and the least one, as it was said."""
    told = r"sample (\w+) have a cosine to the original ([01]\.\d+) on average, ([01]\.\d+) at least"
    return {kind: (float(mean), float(least)) for kind, mean, least in re.findall(told, "\n".join(said))}


def test_int8_is_measured_against_the_float_original_which_then_goes(tmp_path: Path, into: Path) -> None:
    said: list[str] = []
    deployment = added(bare(write_text_encoder(tmp_path)), into, said, int8=True)
    assert card(deployment)["files"]["model"] == "model_int8.onnx"
    assert "8-bit weights" in card(deployment)["description"]
    assert [path.name for path in deployment.glob("*.onnx")] == ["model_int8.onnx"]
    ((mean, least),) = losses(said).values()
    assert 0.99 < least <= mean <= 1
    assert served(into) == [deployment.name]


def test_int8_of_two_towers_is_measured_for_each(tmp_path: Path, into: Path) -> None:
    source = tmp_path / "clip"
    shutil.copytree(GOLDEN / "dual_encoders" / "clip", source)
    said: list[str] = []
    made = card(added(source, into, said, int8=True))
    assert made["files"]["model"] == "vision_model_int8.onnx"
    assert made["files"]["text_model"] == "text_model_int8.onnx"
    measured = losses(said)
    assert set(measured) == {"pictures", "texts"}
    assert all(0.9 < least <= mean < 1 for mean, least in measured.values())


def test_int8_of_the_real_encoder(tmp_path: Path, into: Path) -> None:
    make()
    source = shutil.copytree(FOLDER, tmp_path / "minilm")
    said: list[str] = []
    added(bare(source), into, said, int8=True)
    ((mean, least),) = losses(said).values()
    assert mean > 0.98
    assert least > 0.96


def test_int8_that_cannot_be_is_a_sentence_and_nothing_is_left(tmp_path: Path, into: Path) -> None:
    with pytest.raises(ImporterError, match="--int8 is for encoders"):
        added(decoder(tmp_path), into, int8=True)
    source = bare(write_text_encoder(tmp_path))
    once = added(source, into, name="once", int8=True)
    with pytest.raises(ImporterError, match="starts from float32 weights"):
        added(once, into, name="twice", int8=True)
    assert visible(into) == ["once"]


def test_without_the_package_that_reads_graphs_it_is_said_what_is_missing(
    tmp_path: Path, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = decoder(tmp_path)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImporterError, match=r"pip install -e '\.\[models\]' in the clone"):
        added(source, into)


def test_a_tokenizer_that_tells_no_bytes_holds_no_answer_to_a_form(tmp_path: Path, into: Path) -> None:
    source = decoder(tmp_path)
    words = {str(token): token for token in range(100)}
    Words(WordLevel(words, unk_token="0")).save(str(source / "tokenizer.json"))
    (source / "chat_template.jinja").write_text(HERMES)
    said: list[str] = []
    made = card(added(source, into, said))
    assert not {"response_format", "guided_regex", "guided_choice", "guided_grammar"} & {
        *made["parameters"],
        *made["extras"],
    }
    assert made["parameters"]["tool_choice"] == {"values": ["none", "auto"]}
    assert any("can be held to no form" in sentence for sentence in said)


THINKS = HERMES + "{% if enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}"


def test_thoughts_and_their_switch_are_declared_and_do_what_they_say(tmp_path: Path, into: Path) -> None:
    source = decoder(tmp_path)
    (source / "chat_template.jinja").write_text(THINKS)
    said: list[str] = []
    made = card(added(source, into, said))
    assert made["reasoning"] == {"open": "<think>", "close": "</think>"}
    assert made["extras"]["reasoning_effort"] == {
        "values": ["none", "high"],
        "template": {"none": {"enable_thinking": False}, "high": {"enable_thinking": True}},
    }
    assert any("is told as thoughts" in sentence for sentence in said)
    assert asyncio.run(problems("tiny", into)) == []


def test_no_open_says_so_and_opens_nothing(
    tmp_path: Path, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(add, "Registry", None)
    said: list[str] = []
    added(decoder(tmp_path), into, said, opens=False)
    assert any("It was not opened" in sentence for sentence in said)
