"""`python -m training.images.export`: what training left in build/, as models/starter-images."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from training.images.graph import text_model, vision_model
from training.images.preprocessing import EDGE, PREPROCESSOR_CONFIG
from training.images.shape import EMBEDDING, GRID_TOKENS, MAX_TOKENS, TEXT, VISION, VOCABULARY, Transformer

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "starter-images"
FOLDER = ROOT / "models" / "starter-images"


def main() -> None:
    with np.load(BUILD / "weights.npz") as archive:
        weights = {name: archive[name] for name in archive.files}
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "vision_model.onnx").write_bytes(vision_model(weights).SerializeToString(deterministic=True))
    (FOLDER / "text_model.onnx").write_bytes(text_model(weights).SerializeToString(deterministic=True))
    shutil.copyfile(BUILD / "tokenizer.json", FOLDER / "tokenizer.json")
    write_json("preprocessor_config.json", PREPROCESSOR_CONFIG)
    write_json("config.json", model_config())
    size = sum(path.stat().st_size for path in FOLDER.iterdir())
    print(f"{FOLDER} holds {size / 1e6:.2f} MB")


def model_config() -> dict[str, Any]:
    """The towers' sizes under the names a CLIP configuration has for them."""
    vision = {**tower_config(VISION), "image_size": EDGE, "patch_size": EDGE // round(GRID_TOKENS**0.5)}
    text = {**tower_config(TEXT), "vocab_size": VOCABULARY, "max_position_embeddings": MAX_TOKENS}
    return {
        "model_type": "clip",
        "projection_dim": EMBEDDING,
        "text_config": text,
        "vision_config": vision,
    }


def tower_config(tower: Transformer) -> dict[str, Any]:
    return {
        "hidden_act": "gelu",
        "hidden_size": tower.width,
        "intermediate_size": tower.mlp,
        "num_attention_heads": tower.heads,
        "num_hidden_layers": tower.layers,
        "projection_dim": EMBEDDING,
    }


def write_json(name: str, value: dict[str, Any]) -> None:
    (FOLDER / name).write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
