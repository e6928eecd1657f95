"""`models convert`: command lines, environments, and the import of exported files.

A fake runner writes the files of the exporters; `make exports` runs the real ones.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from inference.importer.add import AddOptions
from inference.importer.export.checkpoint import checkpoint_files, choose_exporter
from inference.importer.export.convert import (
    ConvertOptions,
    ProcessResult,
    convert,
    run_process,
)
from inference.importer.export.exporters import EXPORTERS
from inference.importer.findings import ImporterError
from inference.importer.sources import FolderSource, SourceFile
from inference.registry.registry import Registry
from inference.settings import Settings
from tests.importer.models import bare, built, card
from tests.support.decoders import write_json
from tests.support.encoders import write_text_encoder


@dataclass
class Runner:
    """A fake `Run` that records its calls; exporters write the files of `result`, unless `fails` is set."""

    result: Path
    fails: str = ""
    commands: list[list[str]] = field(default_factory=list)
    visible: list[str] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)

    def __call__(self, command: Sequence[str], folder: Path, variables: Mapping[str, str]) -> ProcessResult:
        self.commands.append(list(command))
        if "venv" in command:
            Path(command[-1]).mkdir(parents=True)
        elif "pip" not in command:
            self.variables = dict(variables)
            self.visible = sorted(
                path.relative_to(folder / "checkpoint").as_posix()
                for path in (folder / "checkpoint").rglob("*")
                if path.is_file()
            )
            if not self.fails:
                shutil.copytree(self.result, folder / "onnx")
        return ProcessResult(1 if self.fails else 0, self.fails)

    @property
    def export(self) -> list[str]:
        return self.commands[-1]


@pytest.fixture
def into(tmp_path: Path) -> Path:
    return tmp_path / "deployments"


def checkpoint(folder: Path, kind: str, **files: str) -> Path:
    source = folder / "checkpoint-of-a-model"
    source.mkdir()
    write_json(source / "config.json", {"architectures": [kind], "max_position_embeddings": 512})
    for name in ("model.safetensors", "tokenizer.json", "modeling.py", "pytorch_model.bin"):
        (source / name).write_text("{}")
    for name, text in files.items():
        (source / name).write_text(text)
    return source


def converted(source: Path, into: Path, runner: Runner, name: str = "made", **choice: Any) -> Path:
    environments = into.parent / "environments"
    options = ConvertOptions(environments=environments, run=runner, **choice)
    settings = Settings(models=(into,))
    return convert(FolderSource(source), options, AddOptions(name, into), settings, lambda _: None)


def test_a_decoder_is_exported_by_the_builder_and_serves(tmp_path: Path, into: Path) -> None:
    source = checkpoint(tmp_path, "PhiForCausalLM")
    (source / "README.md").write_text("---\nlicense: mit\n---\n# A model\n")
    runner = Runner(built(tmp_path))
    made = card(converted(source, into, runner))
    assert (made["type"], made["license"]) == ("chat-completions", "mit")
    assert "converted by builder" in made["description"]
    assert [one.name for one in Registry(Settings(models=(into,))).deployments] == ["made"]
    python, *rest = runner.export
    work = into / ".made.converting"
    assert python.startswith(str(tmp_path / "environments" / "builder-"))
    assert rest == [
        *("-m", "onnxruntime_genai.models.builder"),
        *("-i", str(work / "checkpoint"), "-o", str(work / "onnx"), "-c", str(work / "cache")),
        *("-p", "int4", "-e", "cpu", "--extra_options", "hf_token=false", "hf_remote=false"),
    ]
    assert not work.exists()


def test_the_exporter_has_no_pickle_no_code_and_no_network(tmp_path: Path, into: Path) -> None:
    runner = Runner(built(tmp_path))
    converted(checkpoint(tmp_path, "PhiForCausalLM"), into, runner)
    assert runner.visible == ["config.json", "model.safetensors", "tokenizer.json"]
    assert runner.variables["HF_HUB_OFFLINE"] == "1"


def test_an_encoder_is_exported_by_optimum_and_keeps_its_descriptions(tmp_path: Path, into: Path) -> None:
    exported = bare(write_text_encoder(tmp_path))
    source = checkpoint(tmp_path, "BertModel")
    for name in ("modules.json", "sentence_bert_config.json", "1_Pooling"):
        shutil.move(exported / name, source / name)
    runner = Runner(exported)
    made = card(converted(source, into, runner))
    assert (into / "made" / "modules.json").is_file()
    assert made["embedding"]["normalize"] is True
    assert runner.export[1:3] == ["-m", "optimum.exporters.onnx"]
    assert runner.export[-1] == str(into / ".made.converting" / "onnx")


def test_an_environment_is_made_once_with_pinned_packages(tmp_path: Path, into: Path) -> None:
    source, runner = checkpoint(tmp_path, "PhiForCausalLM"), Runner(built(tmp_path))
    converted(source, into, runner)
    converted(source, into, runner, name="again")
    made, installed, first, second = runner.commands
    assert made[:3] == [sys.executable, "-m", "venv"]
    assert installed[1:4] == ["-m", "pip", "install"]
    assert "onnxruntime-genai==0.18.0" in installed
    assert first[0] == second[0] == installed[0]
    assert all("==" in one for row in EXPORTERS.values() for one in row.requirements)


def test_an_incomplete_environment_is_made_again(tmp_path: Path, into: Path) -> None:
    source, failing = checkpoint(tmp_path, "PhiForCausalLM"), Runner(tmp_path, fails="no such package")
    with pytest.raises(ImporterError, match=r"(?s)PIP_INDEX_URL.*no such package"):
        converted(source, into, failing)
    runner = Runner(built(tmp_path))
    converted(source, into, runner)
    assert [("venv" in command, "pip" in command) for command in runner.commands[:2]] == [
        (True, False),
        (False, True),
    ]


def test_a_failed_export_shows_the_last_lines(tmp_path: Path, into: Path) -> None:
    source = checkpoint(tmp_path, "PhiForCausalLM")
    converted(source, into, Runner(built(tmp_path)))
    with pytest.raises(ImporterError, match=r"(?s)builder could not export .*NotImplementedError"):
        converted(source, into, Runner(tmp_path, fails="NotImplementedError: MoE"), name="other")
    assert sorted(path.name for path in into.iterdir() if path.is_dir()) == ["made"]


@pytest.mark.parametrize(
    ("precision", "expected"), [("int8", "int8"), ("fp32", "fp32"), (None, "int4"), ("fp16", None)]
)
def test_a_precision_is_passed_on_or_refused(
    tmp_path: Path, into: Path, precision: str | None, expected: str | None
) -> None:
    source, runner = checkpoint(tmp_path, "PhiForCausalLM"), Runner(built(tmp_path))
    if expected is None:
        with pytest.raises(ImporterError, match="builder exports to int4, int8, fp32, not to fp16"):
            converted(source, into, runner, precision=precision)
    else:
        converted(source, into, runner, precision=precision)
        assert runner.export[runner.export.index("-p") + 1] == expected


def test_pickled_weights_are_refused() -> None:
    with pytest.raises(ImporterError, match=r"pytorch_model.bin is a pickle"):
        checkpoint_files({"config.json": SourceFile(1), "pytorch_model.bin": SourceFile(1)})
    with pytest.raises(ImporterError, match=r"no config.json"):
        checkpoint_files({"model.safetensors": SourceFile(1)})


def test_sharded_weights_come_with_their_index() -> None:
    names = ["model-00001-of-00002.safetensors", "model.safetensors.index.json", "config.json"]
    listing = {name: SourceFile(1) for name in [*names, "consolidated.safetensors", "original/params.json"]}
    assert sorted(checkpoint_files(listing)) == sorted(names)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"architectures": ["Qwen3MoeForCausalLM"]}, "optimum"),
        ({"architectures": ["NemotronForCausalLM"], "model_type": "nemotron"}, "builder"),
        ({"architectures": ["Qwen3ForCausalLM"]}, "direct"),
        ({"architectures": ["Qwen3ForCausalLM"], "quantization_config": {"quant_method": "awq"}}, "builder"),
        ({"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2"}, "optimum"),
        ({"architectures": ["BertForMaskedLM"]}, "optimum"),
        ({"architectures": ["XLMRobertaForSequenceClassification"]}, "optimum"),
        ({"architectures": ["SiglipModel"], "model_type": "siglip"}, "torch"),
    ],
)
def test_the_exporter_is_chosen_by_architecture(config: dict[str, Any], expected: str) -> None:
    assert choose_exporter(config, {"tokenizer.json": SourceFile(1)}).value == expected


def test_a_decoder_without_a_ready_tokenizer_goes_to_the_builder() -> None:
    listing = {"tokenizer.model": SourceFile(1)}
    assert choose_exporter({"architectures": ["LlamaForCausalLM"]}, listing).value == "builder"


def test_an_unknown_architecture_is_refused_by_name() -> None:
    with pytest.raises(ImporterError, match="No exporter is known for WhisperForConditionalGeneration"):
        choose_exporter({"architectures": ["WhisperForConditionalGeneration"]}, {})


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        ({"architectures": ["T5Model"], "model_type": "t5"}, "encoder-decoder"),
        ({"architectures": ["WhisperModel"], "model_type": "whisper"}, "model of sounds"),
        ({"architectures": ["BertForTokenClassification"], "model_type": "bert"}, "labels each token"),
    ],
)
def test_an_architecture_that_no_backend_runs_is_called_what_it_is(config: dict[str, Any], kind: str) -> None:
    with pytest.raises(ImporterError, match=kind):
        choose_exporter(config, {})


def test_a_process_returns_its_code_and_last_lines(tmp_path: Path) -> None:
    script = "import os, sys; print(os.environ['ADDED']); print('x\\n' * 50); sys.exit('the end')"
    ended = run_process([sys.executable, "-c", script], tmp_path, {"ADDED": "1"})
    assert ended.code == 1
    assert ended.tail.endswith("the end")
    assert len(ended.tail.splitlines()) == 20
    environment = run_process(
        [sys.executable, "-c", "import os, json; print(json.dumps(dict(os.environ)))"], tmp_path, {}
    )
    assert "PYTHONPATH" not in json.loads(environment.tail)


def test_without_the_onnx_package_nothing_is_run(
    tmp_path: Path, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    runner = Runner(tmp_path)
    with pytest.raises(ImporterError, match="package onnx, which is not installed"):
        converted(checkpoint(tmp_path, "BertModel"), into, runner, precision="int8")
    assert runner.commands == []


@pytest.mark.parametrize(
    ("architecture", "task"),
    [("BertForSequenceClassification", "text-classification"), ("BertModel", "feature-extraction")],
)
def test_optimum_keeps_the_head_that_makes_scores(tmp_path: Path, architecture: str, task: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"architectures": [architecture]}))
    command = EXPORTERS["optimum"].command("python", tmp_path, tmp_path / "out", "fp32")
    assert command[command.index("--task") + 1] == task


def test_optimum_keeps_the_logits_that_are_pooled_into_weights(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"architectures": ["BertForMaskedLM"]}))
    steps = [{"type": "sentence_transformers.models.SpladePooling", "path": "1_SpladePooling"}]
    (tmp_path / "modules.json").write_text(json.dumps(steps))
    command = EXPORTERS["optimum"].command("python", tmp_path, tmp_path / "out", "fp32")
    assert command[command.index("--task") + 1] == "fill-mask"
