"""The models that the exporters take: architectures and families of the versions that this package pins.

An exporter refuses another one after its environment was made and the weights were fetched, so the choice
among exporters knows what each takes. Custom code of a checkpoint never runs, and what an exporter takes only
with such code is not here; nor are models whose graph no backend runs, such as those with recurrent state.
"""

from __future__ import annotations

import re
from collections.abc import Container

from inference.cards.json_files import Json
from inference.importer.kinds import architecture_of

DECODERS = ("ForCausalLM", "LMHeadModel")
CLASSIFIERS = "ForSequenceClassification"
"""Ends of the names of architectures."""
MODULES = "modules.json"
"""The file of sentence-transformers, which makes a decoder an embedder."""

BUILDER = frozenset(
    {
        *("Ernie4_5ForCausalLM", "GemmaForCausalLM", "Gemma2ForCausalLM", "Gemma3ForCausalLM"),
        *("GptOssForCausalLM", "GraniteForCausalLM", "HunYuanDenseV1ForCausalLM", "LlamaForCausalLM"),
        *("MistralForCausalLM", "NemotronForCausalLM", "OlmoForCausalLM", "PhiForCausalLM"),
        *("Phi3ForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM", "SmolLM3ForCausalLM"),
    }
)
"""Architectures of onnxruntime-genai's builder, as its `create_model` names them."""
BUILDER_QUANTIZED = frozenset({"awq", "gptq", "quark", "olive"})
"""Values of `quant_method` that it reads."""

OPTIMUM_DECODERS = frozenset(
    {
        *("arcee", "codegen", "cohere", "glm", "gpt2", "gpt_bigcode", "gpt_neo", "gpt_neox"),
        *("gptj", "helium", "olmo2", "opt", "qwen3_moe", "stablelm"),
    }
)
"""Values of `model_type` of decoders that optimum exports with a cache that a backend runs."""

OPTIMUM_CLASSIFIERS = frozenset(
    {
        *("albert", "bert", "big_bird", "camembert", "convbert", "data2vec-text", "deberta", "deberta-v2"),
        *("distilbert", "electra", "esm", "flaubert", "ibert", "longformer", "megatron-bert", "mobilebert"),
        *("modernbert", "mpnet", "nystromformer", "rembert", "roberta", "roformer", "squeezebert", "xlm"),
        *("xlm-roberta", "gemma", "gemma2", "gemma3", "gpt2", "gpt_neo", "gpt_neox", "gptj", "llama"),
        *("mistral", "opt", "phi", "phi3", "qwen2", "qwen3", "qwen3_moe", "smollm3"),
    }
)
OPTIMUM_FEATURES = OPTIMUM_CLASSIFIERS | {
    *("arcee", "cohere", "gemma3_text", "glm", "granite", "helium", "nemotron", "olmo", "olmo2"),
    *("splinter", "stablelm"),
}
"""Values of `model_type` whose head for sequence classification, and whose hidden states, it exports."""
OPTIMUM_IMAGES = frozenset(
    {
        *("beit", "convnext", "convnextv2", "data2vec-vision", "deit", "dinov2", "hiera", "swin", "swinv2"),
        *("vit", "vit_mae", "vit_msn"),
    }
)
"""Values of `model_type` of image encoders that it exports."""

TORCH_DUAL = frozenset({"clip", "siglip", "siglip2"})
"""Values of `model_type` of models with an image tower and a text tower, which torch exports."""


def family_of(config: Json) -> str:
    """Return the `model_type` of a checkpoint; where config.json has none, by its architecture."""
    if isinstance(named := config.get("model_type"), str):
        return named
    name = re.sub(r"(For[A-Z]\w*|LMHeadModel|EncoderModel|Model)$", "", architecture_of(config, {})).lower()
    known = sorted(OPTIMUM_FEATURES | OPTIMUM_DECODERS | OPTIMUM_IMAGES)
    return next((family for family in known if re.sub(r"[_-]", "", family) == name), "")


def generates(config: Json, names: Container[str]) -> bool:
    """Return True for the checkpoint of a decoder, by its config.json and the names of its files."""
    return architecture_of(config, {}).endswith(DECODERS) and MODULES not in names


def optimum_takes(config: Json, names: Container[str]) -> bool:
    """Return True for a checkpoint that optimum exports in a form that a backend runs."""
    family = family_of(config)
    if generates(config, names):
        return family in OPTIMUM_DECODERS
    if architecture_of(config, {}).endswith(CLASSIFIERS):
        return family in OPTIMUM_CLASSIFIERS
    return family in OPTIMUM_FEATURES or family in OPTIMUM_IMAGES


def optimum_task(config: Json, names: Container[str]) -> str:
    """Return optimum's name of what a checkpoint is exported for."""
    if generates(config, names):
        return "text-generation-with-past"
    if architecture_of(config, {}).endswith(CLASSIFIERS):
        return "text-classification"  # A cross-encoder or a classifier, whose head makes the scores.
    return "feature-extraction"
