"""Export of an encoder by torch.onnx.export; a script for an environment that has torch and transformers.

    python torch_export.py CHECKPOINT TARGET

A text encoder becomes model.onnx (input_ids, attention_mask -> last_hidden_state), one with a head that
makes scores too (the inputs that its tokenizer gives -> logits); a dual encoder becomes vision_model.onnx
(pixel_values -> image_embeds) and text_model.onnx (input_ids -> text_embeds). Tokenizer,
preprocessor_config.json and config.json are copied. A model's own code is never executed.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)

DUAL_ENCODERS = ("clip", "siglip", "siglip2")
BOTH = {0: "batch", 1: "sequence"}
"""The free axes of token ids."""
SIDE_FILES = ("preprocessor_config.json", "config.json")


class Hidden(torch.nn.Module):  # type: ignore[misc]
    """A text encoder reduced to its last hidden state."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Any, attention_mask: Any) -> Any:
        return self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state


class Logits(torch.nn.Module):  # type: ignore[misc]
    """A text encoder with a head of labels, or of the tokens of its vocabulary."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any = None) -> Any:
        types = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        return self.model(input_ids=input_ids, attention_mask=attention_mask, **types).logits


class Features(torch.nn.Module):  # type: ignore[misc]
    """One tower of a dual encoder; `method` computes its vector in the shared space."""

    def __init__(self, model: Any, method: str, argument: str) -> None:
        super().__init__()
        self.model, self.method, self.argument = model, method, argument

    def forward(self, values: Any) -> Any:
        features = getattr(self.model, self.method)(**{self.argument: values})
        return getattr(features, "pooler_output", features)


def export(
    module: Any, example: Mapping[str, Any], target: Path, output: str, dynamic: Sequence[Mapping[int, str]]
) -> None:
    """Write a module as ONNX; `dynamic` names the free axes of each input."""
    shapes = tuple(dict.fromkeys(axes, torch.export.Dim.DYNAMIC) for axes in dynamic)
    torch.onnx.export(
        module.eval(),
        tuple(example.values()),
        str(target),
        input_names=list(example),
        output_names=[output],
        dynamic_shapes=shapes,
        dynamo=True,
        external_data=False,
    )


def text_encoder(checkpoint: Path, target: Path) -> None:
    """Export a text encoder."""
    model = AutoModel.from_pretrained(checkpoint, trust_remote_code=False)
    ids = torch.ones((2, 7), dtype=torch.int64)
    example = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    export(Hidden(model), example, target / "model.onnx", "last_hidden_state", (BOTH, BOTH))


def scorer(checkpoint: Path, target: Path, kind: Any) -> None:
    """Export a text encoder with its head, of a class of transformers."""
    model = kind.from_pretrained(checkpoint, trust_remote_code=False)
    tokenizer = AutoTokenizer.from_pretrained(checkpoint, trust_remote_code=False)
    ids = torch.ones((2, 7), dtype=torch.int64)
    example = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if "token_type_ids" in tokenizer("a"):
        example["token_type_ids"] = torch.zeros_like(ids)
    export(Logits(model), example, target / "model.onnx", "logits", (BOTH,) * len(example))


def pools_logits(checkpoint: Path) -> bool:
    """Return True for a model of masks whose modules.json makes weights of tokens of its logits (SPLADE)."""
    modules = checkpoint / "modules.json"
    return modules.is_file() and "SpladePooling" in modules.read_text(encoding="utf-8")


def dual_encoder(checkpoint: Path, target: Path, config: Any) -> None:
    """Export both towers of a dual encoder."""
    model = AutoModel.from_pretrained(checkpoint, trust_remote_code=False)
    edge, length = config.vision_config.image_size, config.text_config.max_position_embeddings
    pixels = torch.zeros((2, 3, edge, edge))
    vision = Features(model, "get_image_features", "pixel_values")
    export(vision, {"pixel_values": pixels}, target / "vision_model.onnx", "image_embeds", ({0: "batch"},))
    ids = torch.ones((2, length), dtype=torch.int64)
    text = Features(model, "get_text_features", "input_ids")
    export(text, {"input_ids": ids}, target / "text_model.onnx", "text_embeds", ({0: "batch"},))


def main(checkpoint: Path, target: Path) -> None:
    target.mkdir(parents=True)
    config = AutoConfig.from_pretrained(checkpoint, trust_remote_code=False)
    if config.model_type in DUAL_ENCODERS:
        dual_encoder(checkpoint, target, config)
    elif any("SequenceClassification" in name for name in config.architectures or ()):
        scorer(checkpoint, target, AutoModelForSequenceClassification)
    elif pools_logits(checkpoint):
        scorer(checkpoint, target, AutoModelForMaskedLM)
    else:
        text_encoder(checkpoint, target)
    AutoTokenizer.from_pretrained(checkpoint, trust_remote_code=False).save_pretrained(target)
    for name in SIDE_FILES:
        if (checkpoint / name).is_file():
            shutil.copyfile(checkpoint / name, target / name)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
