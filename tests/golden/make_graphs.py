"""Makes graphs/: for each architecture that the importer writes itself, the logits of transformers.

    pip install torch==2.13.0 transformers==5.24.0
    python -m tests.golden.make_graphs

The models are tiny. Their weights are `random_tensors` of their names and are not stored; a case has the
config.json as transformers saves it, the shapes, and the logits of a prompt at some positions.
"""

import json
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from tests.golden.random_tensors import random_tensors

GOLDEN = Path(__file__).with_name("graphs")
VOCABULARY, CONTEXT, LENGTH, EVERY = 64, 64, 60, 4
WINDOW, ORIGINAL = 16, 32
"""A sliding window, and the context of a pretraining that a rope extends."""

SMALL = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": CONTEXT,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
WIDE = SMALL | {"head_dim": 32}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": ORIGINAL,
}
YARN = {
    "rope_type": "yarn",
    "rope_theta": 10000.0,
    "factor": 2.0,
    "original_max_position_embeddings": ORIGINAL,
}
LONG = {
    "rope_type": "longrope",
    "rope_theta": 10000.0,
    "short_factor": [1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7],
    "long_factor": [2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0],
    "original_max_position_embeddings": ORIGINAL,
}
GRANITE = {
    "embedding_multiplier": 12.0,
    "logits_scaling": 8.0,
    "residual_multiplier": 0.22,
    "attention_multiplier": 0.125,
    "tie_word_embeddings": True,
}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", SMALL),
    "llama-3": ("llama", SMALL | {"rope_parameters": LLAMA3, "tie_word_embeddings": True}),
    "llama-biases": ("llama", SMALL | {"attention_bias": True, "mlp_bias": True}),
    "llama-linear": (
        "llama",
        SMALL | {"rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 1e4}},
    ),
    "mistral": ("mistral", WIDE | {"sliding_window": WINDOW}),
    "qwen2": ("qwen2", SMALL | {"tie_word_embeddings": True}),
    "qwen2-windows": (
        "qwen2",
        SMALL | {"use_sliding_window": True, "sliding_window": WINDOW, "max_window_layers": 1},
    ),
    "qwen2-yarn": ("qwen2", SMALL | {"rope_parameters": YARN}),
    "qwen3": ("qwen3", WIDE),
    "gemma2": ("gemma2", WIDE | {"sliding_window": WINDOW, "query_pre_attn_scalar": 24}),
    "gemma3": ("gemma3_text", WIDE | {"sliding_window": WINDOW, "num_hidden_layers": 7}),
    "phi3": ("phi3", SMALL | {"sliding_window": WINDOW}),
    "phi3-partial": ("phi3", SMALL | {"num_attention_heads": 1, "partial_rotary_factor": 0.5}),
    "phi3-long": ("phi3", SMALL | {"rope_parameters": LONG, "original_max_position_embeddings": ORIGINAL}),
    "granite": ("granite", SMALL | GRANITE),
    "olmo2": ("olmo2", SMALL),
    "smollm3": ("smollm3", SMALL | {"no_rope_layers": [1, 0]}),
}


def main() -> None:
    GOLDEN.mkdir(exist_ok=True)
    for name, (kind, sizes) in CASES.items():
        model = random_model(kind, sizes)
        case: dict[str, Any] = {
            "config": saved_config(model),
            "shapes": shapes(model),
            "gain": gain(kind),
            "tokens": tokens(),
        }
        lengths = (ORIGINAL, LENGTH) if name == "phi3-long" else (LENGTH,)
        case["logits"] = {str(length): logits(model, case["tokens"][:length]) for length in lengths}
        (GOLDEN / f"{name}.json").write_text(json.dumps(case) + "\n")


def encoder() -> None:
    """A BERT, with the hidden states of a text alone and of a shorter one that is padded to its length."""
    torch, transformers = import_module("torch"), import_module("transformers")
    sizes = {"intermediate_size": 64, "vocab_size": VOCABULARY, "max_position_embeddings": CONTEXT}
    config = transformers.BertConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, **sizes)
    model = transformers.BertModel(config, add_pooling_layer=False).float().eval()
    values = random_tensors(shapes(model), gain=1.0)
    model.load_state_dict({key: torch.from_numpy(value) for key, value in values.items()})
    prompt = torch.tensor([tokens()[:20], tokens()[20:40]])
    mask, types = torch.ones_like(prompt), torch.zeros_like(prompt)
    mask[1, 9:], types[0, 10:] = 0, 1
    with torch.no_grad():
        states = model(prompt, attention_mask=mask, token_type_ids=types).last_hidden_state.numpy()
    inputs = {"input_ids": prompt, "attention_mask": mask, "token_type_ids": types}
    case = {"config": saved_config(model), "shapes": shapes(model), "gain": 1.0}
    case |= {"inputs": {name: values.tolist() for name, values in inputs.items()}}
    case |= {"states": [[[round(float(x), 5) for x in row] for row in text] for text in states]}
    (GOLDEN / "encoders").mkdir(exist_ok=True)
    (GOLDEN / "encoders" / "bert.json").write_text(json.dumps(case) + "\n")


def random_model(kind: str, sizes: dict[str, Any]) -> Any:
    torch, transformers = import_module("torch"), import_module("transformers")
    config = transformers.AutoConfig.for_model(kind, **sizes)
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    model = model.float().eval()
    values = random_tensors(shapes(model), gain=gain(kind))
    model.load_state_dict({key: torch.from_numpy(value) for key, value in values.items()}, strict=False)
    return model


def gain(kind: str) -> float:
    """The gains of Gemma's norms are stored less one."""
    return 0.0 if kind.startswith("gemma") else 1.0


def shapes(model: Any) -> dict[str, list[int]]:
    """Of a tied lm_head there is no tensor of its own."""
    return {name: list(values.shape) for name, values in model.named_parameters()}


def saved_config(model: Any) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        config: dict[str, Any] = json.loads((Path(folder) / "config.json").read_text())
    return config


def tokens() -> list[int]:
    drawn = np.random.RandomState(0).randint(3, VOCABULARY, LENGTH)
    return [int(token) for token in drawn]


def logits(model: Any, prompt: list[int]) -> dict[str, list[float]]:
    torch = import_module("torch")
    with torch.no_grad():
        found = model(torch.tensor([prompt])).logits[0].numpy()
    return {
        str(position): [round(float(value), 5) for value in found[position]]
        for position in range(EVERY - 1, len(prompt), EVERY)
    }


if __name__ == "__main__":
    main()
    encoder()
