"""Models as they lie on a hub or in a folder: without a model.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx

from inference.importer.add import AddOptions, add
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
    """The deployment's folder as it was before it was one."""
    (deployment / "model.json").unlink()
    return deployment


def decoder(folder: Path, name: str = "tiny", **options: Any) -> Path:
    return bare(write_decoder(folder, name=name, **options))


def built(folder: Path, name: str = "tiny-int4") -> Path:
    """What onnxruntime-genai's builder writes: no config.json, weights apart, an open head size."""
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


def added(source: Path, into: Path, said: list[str] | None = None, **wishes: Any) -> Path:
    """The deployment that `models add` makes of a folder."""
    order = AddOptions(**{"name": source.name, "into": into, **wishes})
    return add(
        FolderSource(source), order, Settings(models=(into,)), (said if said is not None else []).append
    )


def card(deployment: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((deployment / "model.json").read_text())
    return found


__all__ = ["END", "END_OF_TEXT", "HERMES", "added", "bare", "built", "card", "decoder", "write_external"]
