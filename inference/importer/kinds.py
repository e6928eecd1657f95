"""The kinds of models that no backend runs, known by config.json or by the graph, a sentence for each.

A sentence names the kind and a way out. It is a reason for a refusal that has happened, never a refusal of
its own: an encoder of T5 alone is served, whatever its config.json calls it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from inference.cards.json_files import Json, inner_object

ENCODER_DECODERS = frozenset(
    {
        *("t5", "mt5", "umt5", "longt5", "switch_transformers", "bart", "mbart", "plbart", "led", "marian"),
        *("pegasus", "pegasus_x", "bigbird_pegasus", "m2m_100", "nllb-moe", "fsmt", "blenderbot"),
        *("blenderbot-small", "prophetnet", "mvp", "t5gemma", "encoder-decoder", "florence2"),
    }
)
SPEECH = frozenset(
    {
        *(
            "whisper",
            "speech_to_text",
            "speecht5",
            "moonshine",
            "seamless_m4t",
            "seamless_m4t_v2",
            "wav2vec2",
        ),
        *("hubert", "wavlm", "musicgen", "bark", "vits", "clap", "audio-spectrogram-transformer"),
        "speech-encoder-decoder",
    }
)
IMAGE_READERS = frozenset({"vision-encoder-decoder", "pix2struct", "git", "donut"})
"""Values of `model_type`; IMAGE_READERS write texts about images, and have no `vision_config`."""
DIFFUSION_INDEX = "model_index.json"
"""The file that describes a pipeline of diffusers."""

REMOTE = "Serve it elsewhere and add it as a remote deployment (docs/models.md, Remote deployments)"
CHAT = "A chat model answers such questions in JSON, held to a schema by response_format"
FEATURES = (
    "The part below its head can serve embeddings: export it without the head, with optimum-cli export onnx "
    "--task feature-extraction"
)
HEADS: Mapping[str, tuple[str, str]] = {
    "ForTokenClassification": ("labels each token of a text, as for named entities", CHAT),
    "ForQuestionAnswering": ("marks the answer to a question in a text", CHAT),
    "ForMultipleChoice": ("chooses among given answers", CHAT),
    "ForNextSentencePrediction": ("judges whether one text follows another", CHAT),
    "ForImageClassification": ("labels images", FEATURES),
    "ForObjectDetection": ("finds objects in images", FEATURES),
    "ForZeroShotObjectDetection": ("finds objects in images", FEATURES),
    "ForSemanticSegmentation": ("assigns the pixels of images to classes", FEATURES),
    "ForInstanceSegmentation": ("assigns the pixels of images to objects", FEATURES),
    "ForUniversalSegmentation": ("assigns the pixels of images to objects", FEATURES),
    "ForMaskGeneration": ("cuts objects out of images", FEATURES),
    "ForDepthEstimation": ("estimates the depth of images", FEATURES),
    "ForMaskedLM": (
        "fills in masked tokens",
        FEATURES
        + "; with SpladePooling in modules.json, as SPLADE models have it, its logits serve /embed_sparse",
    ),
    "ForPreTraining": ("has the heads of its pre-training", FEATURES),
}
"""Suffix of an architecture to what such a model does, and the way out."""


def architecture_of(config: Json, genai: Json) -> str:
    """Return the class or family of a model; empty where no file names it."""
    named = config.get("architectures") or []
    kind = config.get("model_type") or inner_object(genai, "model").get("type") or ""
    return str(named[0] if isinstance(named, list) and named else kind)


def kind_by_config(config: Json, genai: Json) -> str | None:
    """Return the sentence on a model that no backend runs, by its files; None for any other."""
    kind, family = architecture_of(config, genai), str(config.get("model_type"))
    parts = inner_object(genai, "model")
    if family in SPEECH:
        return speech(kind)
    if family in IMAGE_READERS or "vision" in parts or (_generates(kind) and "vision_config" in config):
        return vision_language(kind)
    if "audio_config" in config or "speech" in parts:
        return speech(kind)
    if family in ENCODER_DECODERS or (config.get("is_encoder_decoder") is True and _generates(kind)):
        return encoder_decoder(kind)
    return head(kind)


def kind_by_graph(inputs: Collection[str], outputs: Collection[str], kind: str) -> str | None:
    """Return the sentence on a graph that no backend runs, by inputs and outputs; None for any other."""
    if {"input_features", "input_values"} & set(inputs):
        return speech(kind)
    if {"decoder_input_ids", "encoder_hidden_states", "encoder_outputs"} & set(inputs):
        return encoder_decoder(kind)
    if "inputs_embeds" in inputs and "input_ids" not in inputs:
        return (
            f"{_named(kind)} reads embeddings (inputs_embeds) in place of tokens: it is one part of a model "
            f"that reads images or sounds too, and such models are not run here. {REMOTE}, or add a model "
            "for text alone."
        )
    if {"sample", "timestep"} <= set(inputs):
        return diffusion()
    if {"start_logits", "end_logits"} <= set(outputs):
        return _head_sentence(kind, *HEADS["ForQuestionAnswering"])
    if "pixel_values" in inputs and {"pred_boxes", "pred_masks"} & set(outputs):
        return _head_sentence(kind, *HEADS["ForObjectDetection"])
    if "pixel_values" in inputs and "logits" in outputs:
        return head(kind) or _head_sentence(kind, *HEADS["ForImageClassification"])
    return head(kind)


def encoder_decoder(kind: str) -> str:
    """Return the sentence on an encoder-decoder, such as T5, BART and Marian."""
    return (
        f"{_named(kind)} is an encoder-decoder: one part reads a text, another one writes the answer, and no "
        f"backend runs the two together. {REMOTE}, or add a decoder, which translates and summarizes on "
        "/chat/completions."
    )


def speech(kind: str) -> str:
    """Return the sentence on a model of sounds, such as Whisper."""
    also = ", an encoder-decoder" if "ConditionalGeneration" in kind else ""
    return (
        f"{_named(kind)} is a model of sounds{also}, and no backend here takes or writes audio. {REMOTE} if "
        "it chats about sounds."
    )


def vision_language(kind: str) -> str:
    """Return the sentence on a model that reads images and texts and writes texts."""
    return (
        f"{_named(kind)} is a vision-language model: it reads images and texts and writes texts, and no "
        f"backend here gives images to a model that writes. {REMOTE}, or add a model for text alone."
    )


def diffusion() -> str:
    """Return the sentence on a pipeline that makes images."""
    return (
        "The files are a diffusion pipeline, which makes images, and the API has no route for that. "
        "Decoders, text encoders and image encoders are supported."
    )


def head(kind: str) -> str | None:
    """Return the sentence on a model with a head that no route serves, None for any other."""
    found = next((ways for suffix, ways in HEADS.items() if kind.endswith(suffix)), None)
    return _head_sentence(kind, *found) if found else None


def _head_sentence(kind: str, what: str, way_out: str) -> str:
    return f"{_named(kind)} {what}, and no route serves that. {way_out}."


def _generates(kind: str) -> bool:
    return kind.endswith(("ForConditionalGeneration", "ForCausalLM", "ForVision2Seq", "MTModel")) or not kind


def _named(kind: str) -> str:
    return kind or "The model"
