"""Makes decoders/: tiny random decoders of real architectures as real exporters write them, and their tokens.

The tokens are those of transformers' `generate`, greedy, in float32. Two environments, because the exporters
want different versions of transformers; each writes its own half:

    pip install torch==2.13.0 transformers==5.23.0 onnxruntime-genai==0.18.0 onnx_ir onnx
    python tests/golden/make_decoders.py genai

    pip install torch==2.13.0 optimum-onnx==0.1.0 transformers==4.57.6 onnxruntime onnx
    python tests/golden/make_decoders.py optimum

Names after that make these alone.
"""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import onnx

# Read before onnxruntime opens a session; this environment does not have the app.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

GOLDEN = Path(__file__).with_name("decoders")
CONTEXT, VOCABULARY, NEW_TOKENS = 256, 128, 24
LENGTHS = (3, 17, 40, 70)
MARGIN, MARGIN_OF_HALVES = 2e-3, 5e-2
"""The least distance of the two best logits: closer ones say nothing about a graph, in float16 less still."""

LLAMA = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": CONTEXT,
    "initializer_range": 0.25,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
WIDE = LLAMA | {"head_dim": 16}
FEW = LLAMA | {"num_attention_heads": 2, "num_key_value_heads": 1}
"""GroupQueryAttention rotates heads of multiples of 16 only."""
WINDOW = 32
LONG_ROPE = {
    "rope_type": "longrope",
    "type": "longrope",
    "short_factor": [1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7],
    "long_factor": [2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0],
}
GPT2 = {
    "n_embd": 32,
    "n_layer": 2,
    "n_head": 4,
    "n_inner": 48,
    "n_positions": CONTEXT,
    "vocab_size": VOCABULARY,
    "initializer_range": 0.25,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
BLOOM = {"hidden_size": 32, "n_layer": 2, "n_head": 4, "vocab_size": VOCABULARY, "initializer_range": 0.25}

GRANITE = LLAMA | {
    "intermediate_size": 32,
    "logits_scaling": 4.0,
    "embedding_multiplier": 2.0,
    "residual_multiplier": 0.5,
    "attention_multiplier": 0.3,
}
PHI2 = LLAMA | {"intermediate_size": 32, "num_key_value_heads": 4, "partial_rotary_factor": 0.5}
"""Of ends that other decoders have not: logits that are divided, and an lm_head with a bias."""

GENAI: dict[str, tuple[str, dict[str, Any]]] = {
    "genai-llama": ("llama", WIDE),
    "genai-llama-float16": ("llama", WIDE),
    "genai-llama-cuda-float16": ("llama", WIDE),
    "genai-smollm": ("llama", FEW | {"tie_word_embeddings": True}),
    "genai-smollm-pruned": ("llama", FEW | {"tie_word_embeddings": True}),
    "genai-qwen2": ("qwen2", FEW),
    "genai-qwen3": ("qwen3", WIDE),
    "genai-mistral": ("mistral", WIDE | {"sliding_window": None}),
    "genai-phi3-long": (
        "phi3",
        FEW | {"original_max_position_embeddings": CONTEXT // 2, "rope_parameters": LONG_ROPE},
    ),
    "genai-gemma": ("gemma", WIDE),
    "genai-gemma2": ("gemma2", WIDE | {"sliding_window": WINDOW}),
}
OPTIMUM: dict[str, tuple[str, dict[str, Any], str]] = {
    "optimum-llama": ("llama", LLAMA, "LlamaOnnxConfig"),
    "optimum-llama-merged": ("llama", LLAMA, "LlamaOnnxConfig"),
    "optimum-qwen3": ("qwen3", WIDE, "Qwen3OnnxConfig"),
    "optimum-mistral": ("mistral", WIDE | {"sliding_window": WINDOW}, "MistralOnnxConfig"),
    "optimum-phi3": ("phi3", LLAMA | {"original_max_position_embeddings": CONTEXT}, "Phi3OnnxConfig"),
    "optimum-gemma3": ("gemma3_text", WIDE | {"sliding_window": WINDOW}, "Gemma3TextOnnxConfig"),
    "optimum-granite": ("granite", GRANITE, "GraniteOnnxConfig"),
    "optimum-phi2": ("phi", PHI2, "PhiOnnxConfig"),
    "optimum-gpt2": ("gpt2", GPT2, "GPT2OnnxConfig"),
    "optimum-gpt2-old": ("gpt2", GPT2, "GPT2OnnxConfig"),
    "optimum-gpt2-old-merged": ("gpt2", GPT2, "GPT2OnnxConfig"),
    "optimum-bloom": ("bloom", BLOOM, "BloomOnnxConfig"),
}
"""`old` ones have no position_ids, as exports had none before 2024; Gemma 3 has none to this day."""


def main() -> None:
    half, *only = sys.argv[1:]
    for name, (kind, sizes, *rest) in (GENAI if half == "genai" else OPTIMUM).items():
        if only and name not in only:
            continue
        model = random_model(kind, sizes)
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            written = genai(folder, model, name) if half == "genai" else optimum(folder, model, name, *rest)
            target = GOLDEN / name
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir(parents=True)
            onnx.save(bare(onnx.load(written)), target / "model.onnx")
        (target / "config.json").write_text(model.config.to_json_string())
        (target / "tokens.json").write_text(json.dumps(list(cases(model, name)), indent=None) + "\n")
        print(name, sum(file.stat().st_size for file in target.iterdir()))  # noqa: T201


def random_model(kind: str, sizes: dict[str, Any]) -> Any:
    transformers = import_module("transformers")
    import_module("torch").manual_seed(0)
    config = transformers.AutoConfig.for_model(kind, **sizes)
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    return model.float().eval()


def cases(model: Any, name: str) -> Iterator[dict[str, Any]]:
    """Prompts and what is generated after them, with the context that the deployment is to have."""
    margin = MARGIN_OF_HALVES if name.endswith("float16") else MARGIN
    if name != "genai-phi3-long":
        for length in LENGTHS:
            yield case(model, length, CONTEXT, margin)
        return
    # The angles are those of the context's length: short ones below the switch, long ones above it.
    for length in LENGTHS:
        yield case(model, length, CONTEXT // 2, margin)
    for length in (CONTEXT // 2 + 2, CONTEXT // 2 + 72):
        yield case(model, length, CONTEXT, margin)


def case(model: Any, length: int, context: int, margin: float) -> dict[str, Any]:
    """The first seed's prompt after which no token is a close decision."""
    torch = import_module("torch")
    for seed in range(1000):
        generator = torch.Generator().manual_seed(1000 * length + seed)
        prompt = torch.randint(3, VOCABULARY, (1, length), generator=generator)
        said = model.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            max_new_tokens=NEW_TOKENS,
            min_new_tokens=NEW_TOKENS,
            do_sample=False,
            eos_token_id=None,
            output_logits=True,
            return_dict_in_generate=True,
        )
        best = torch.stack(said.logits)[:, 0].topk(2).values
        if (best[:, 0] - best[:, 1]).min() > margin:
            tokens = said.sequences[0, length:].tolist()
            return {"context": context, "prompt": prompt[0].tolist(), "tokens": tokens}
    raise SystemExit(f"no prompt of {length} tokens is free of close decisions")


def genai(folder: Path, model: Any, name: str) -> Path:
    builder = import_module("onnxruntime_genai.models.builder")
    model.save_pretrained(folder / "checkpoint")
    tokenizers = import_module("tokenizers")
    words = tokenizers.models.WordLevel({str(token): token for token in range(VOCABULARY)}, unk_token="0")
    made = import_module("transformers").PreTrainedTokenizerFast(tokenizer_object=tokenizers.Tokenizer(words))
    made.save_pretrained(folder / "checkpoint")  # the builder wants one, and copies it
    precision = "fp16" if name.endswith("float16") else "fp32"
    provider = "cuda" if "cuda" in name else "cpu"
    # Logits of the last position alone.
    pruned = ["prune_lm_head=true"] if name.endswith("pruned") else []
    place = (str(folder / "checkpoint"), str(folder / "out"), precision, provider, str(folder / "cache"))
    builder.create_model("", *place, **builder.parse_extra_options("", *place, pruned))
    return folder / "out" / "model.onnx"


def optimum(folder: Path, model: Any, name: str, config: str) -> Path:
    """One graph with a past; for `merged`, the pair of old exports made one by optimum's own function."""
    exporter = import_module("optimum.exporters.onnx")
    kind = getattr(import_module("optimum.exporters.onnx.model_configs"), config)
    made = without_positions(kind) if "old" in name else kind
    options = {"task": "text-generation", "use_past": True}
    exporter.export(model, made(model.config, **options, use_past_in_inputs=True), folder / "past.onnx")
    if not name.endswith("merged"):
        return folder / "past.onnx"
    exporter.export(model, made(model.config, **options, use_past_in_inputs=False), folder / "first.onnx")
    merge: Callable[..., Any] = import_module("optimum.onnx").merge_decoders
    merge(folder / "first.onnx", folder / "past.onnx", save_path=folder / "merged.onnx", strict=False)
    return folder / "merged.onnx"


def without_positions(kind: Any) -> Any:
    class Old(kind):  # type: ignore[misc]
        @property
        def inputs(self) -> dict[str, Any]:
            return {name: axes for name, axes in super().inputs.items() if name != "position_ids"}

    return Old


def bare(model: onnx.ModelProto) -> onnx.ModelProto:
    """Without the notes and the long names that exporters leave at every node."""
    del model.metadata_props[:]
    kept = {value.name for value in (*model.graph.input, *model.graph.output)} | {""}
    shrink(model.graph, {name: name for name in kept})
    return model


def shrink(graph: onnx.GraphProto, short: dict[str, str]) -> None:
    """`short`: what every name has become so far; a name means the same in a graph and in its branches."""
    del graph.metadata_props[:]
    del graph.value_info[:]
    for value in (*graph.input, *graph.output, *graph.initializer):
        value.name = short.setdefault(value.name, f"v{len(short)}")
    for node in graph.node:
        node.ClearField("doc_string")
        node.ClearField("name")
        del node.metadata_props[:]
        for names in (node.input, node.output):
            names[:] = [short.setdefault(name, f"v{len(short)}") for name in names]
        for attribute in node.attribute:
            if attribute.HasField("g"):
                shrink(attribute.g, short)


if __name__ == "__main__":
    main()
