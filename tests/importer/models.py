"""Models as a hub or a folder has them: without a model.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx

from inference.importer.add import AddOptions, add
from inference.importer.model_folder import ModelFolder
from inference.importer.sources import FolderSource
from inference.settings import Settings
from tests.support.decoders import END, END_OF_TEXT, write_decoder, write_json

HERMES = """\
{%- if tools %}<|im_start|>system
Call tools as <tool_call>{"name": ..., "arguments": ...}</tool_call>. {{ tools | tojson }}<|im_end|>
{% endif %}
{%- for message in messages %}
{{- '<|im_start|>' + message.role + '\\n' + (message.content or '') + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""


def bare(deployment: Path) -> Path:
    """Remove the card of a deployment's folder."""
    (deployment / "model.json").unlink()
    return deployment


def decoder(folder: Path, name: str = "tiny", **options: Any) -> Path:
    return bare(write_decoder(folder, name=name, **options))


def built(folder: Path, name: str = "tiny-int4") -> Path:
    """Write a model as onnxruntime-genai's builder does: no config.json, external data, a free head size."""
    model = decoder(folder, name)
    for file in ("config.json", "generation_config.json"):
        (model / file).unlink()
    graph = onnx.load(str(model / "model.onnx"))
    for value in (*graph.graph.input, *graph.graph.output):
        dims = value.type.tensor_type.shape.dim
        if len(dims) == 4:
            dims[3].dim_param = "kv_cache_dim"
    write_external(graph, model / "model.onnx", "model.onnx.data")
    genai = {
        "context_length": 512,
        "eos_token_id": END_OF_TEXT,
        "type": "llama",
        "decoder": {"head_size": 16},
    }
    write_json(model / "genai_config.json", {"model": genai})
    return model


def write_external(graph: onnx.ModelProto, path: Path, data: str) -> None:
    path.unlink(missing_ok=True)
    onnx.save(graph, str(path), save_as_external_data=True, location=data, size_threshold=64)


def added(source: Path, into: Path, reports: list[str] | None = None, **options: Any) -> Path:
    """Import a folder and return the deployment's folder; sentences are appended to `reports`."""
    chosen = AddOptions(**{"name": source.name, "into": into, **options})
    report = (reports if reports is not None else []).append
    return add(FolderSource(source), chosen, Settings(models=(into,)), report)


def described(**files: Any) -> ModelFolder:
    """Return a folder without graphs whose JSON files have these contents; the others are empty."""
    names = ("config", "generation_config", "genai_config", "tokenizer_config", "sentence_bert_config")
    contents = {**{name: {} for name in names}, **files}
    return ModelFolder(Path(), {}, {}, {f"{name}.json": content for name, content in contents.items()})


def card(deployment: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((deployment / "model.json").read_text())
    return found


__all__ = [
    "END",
    "END_OF_TEXT",
    "HERMES",
    "added",
    "bare",
    "built",
    "card",
    "decoder",
    "described",
    "write_external",
]
