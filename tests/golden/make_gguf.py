"""Makes gguf/: tiny models as llama.cpp's own converter writes them, with what transformers says of them.

    pip install torch==2.13.0 transformers==5.24.0 sentence-transformers==6.2.0 sentencepiece
    python -m tests.golden.make_gguf LLAMA_CPP

LLAMA_CPP is a checkout of llama.cpp with `conversion/`. A case is NAME.gguf.xz, and in cases.json the logits
of some positions and the greedy tokens that follow, or the vectors of texts. The weights are multiples of
1/16, so that float16 has them exactly, and the files are small; of a case in Q8_0 the weights are those that
it holds.
"""

from __future__ import annotations

import json
import lzma
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.golden.make_gguf_cases import (
    DECODERS,
    ENCODERS,
    LENGTH,
    POOLINGS,
    TEXTS,
    tokens,
)
from tests.golden.make_gguf_tokenizers import save_tokenizer
from tests.golden.random_tensors import random_tensor

# Imported by name: they are not installed where the types are checked.
torch = import_module("torch")
transformers = import_module("transformers")

GOLDEN = Path(__file__).with_name("gguf")
NEW, EVERY = 8, 12


def main(llama_cpp: Path) -> None:
    sys.path[:0] = [str(llama_cpp / "gguf-py"), str(llama_cpp)]
    GOLDEN.mkdir(exist_ok=True)
    cases: dict[str, Any] = {}
    for name, (kind, sizes, form) in DECODERS.items():
        model = random_model(transformers.AutoModelForCausalLM, kind, sizes, form)
        write(name, model, form, bert=False)
        cases[name] = {"architecture": kind, **answers(model)}
    for name, (kind, sizes, form) in ENCODERS.items():
        model = random_model(transformers.AutoModel, kind, sizes, form)
        cases[name] = {"pooling": POOLINGS[name], "vectors": write(name, model, form, bert=kind != "qwen3")}
    (GOLDEN / "cases.json").write_text(json.dumps(cases) + "\n")


def random_model(factory: Any, kind: str, sizes: dict[str, Any], form: str) -> Any:
    config = transformers.AutoConfig.for_model(kind, **sizes)
    model = factory.from_config(config, attn_implementation="eager").float().eval()
    gain = 0.0 if kind.startswith("gemma") else 1.0
    values = {key: grid(key, list(tensor.shape), gain) for key, tensor in model.named_parameters()}
    if form == "q8_0":
        values = {key: held(value) if value.ndim == 2 else value for key, value in values.items()}
    model.load_state_dict({key: torch.from_numpy(value) for key, value in values.items()}, strict=False)
    return model


def grid(name: str, shape: list[int], gain: float) -> NDArray[np.float32]:
    """Return random weights, of few different numbers."""
    return np.round(random_tensor(name, shape, gain=gain) * 16).astype(np.float32) / np.float32(16)


def held(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the weights that Q8_0 has for these."""
    quants = import_module("gguf.quants")
    kind = import_module("gguf").GGMLQuantizationType.Q8_0
    found: NDArray[np.float32] = quants.dequantize(quants.quantize(values, kind), kind)
    return found


def write(name: str, model: Any, form: str, *, bert: bool) -> list[list[float]]:
    """Write NAME.gguf.xz; return the vectors of texts, of a model that has some."""
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder)
        model.save_pretrained(checkpoint)
        save_tokenizer(checkpoint, bert=bert)
        vectors = sentence_vectors(model, checkpoint, POOLINGS[name]) if name in POOLINGS else []
        if model.config.model_type == "nomic_bert":
            as_published(model, checkpoint)
        file = convert(name, checkpoint, form, bert=bert)
        (GOLDEN / f"{name}.gguf.xz").write_bytes(lzma.compress(file.read_bytes(), preset=9))
    return vectors


def convert(name: str, checkpoint: Path, form: str, *, bert: bool) -> Path:
    """Run the converter; it knows published tokenizers alone, so that it is told the kind of this one."""
    conversion, base = import_module("conversion"), import_module("conversion.base")
    gguf = import_module("gguf")
    types = {"f16": "MOSTLY_F16", "f32": "ALL_F32", "bf16": "MOSTLY_BF16", "q8_0": "MOSTLY_Q8_0"}
    base.TextModel.get_vocab_base_pre = lambda *_: "jina-v2-en" if bert else "gpt-2"
    hparams = base.ModelBase.load_hparams(checkpoint, False)
    made = conversion.get_model_class(base.get_model_architecture(hparams, base.ModelType.TEXT))
    own = made.set_vocab if bert else lambda self: self._set_vocab_gpt2()
    kind = type("Kind", (made,), {"set_vocab": own, "model_arch": made.model_arch})
    target = checkpoint / "model.gguf"
    with torch.inference_mode():
        kind(checkpoint, gguf.LlamaFileType[types[form]], target, model_name=name).write()
    return target


def as_published(model: Any, checkpoint: Path) -> None:
    """Add to Nomic's config the names that its repository has, which the converter reads."""
    config, file = model.config, checkpoint / "config.json"
    published = json.loads(file.read_text())
    published |= {"n_embd": config.hidden_size, "n_head": config.num_attention_heads, "n_positions": 8192}
    published |= {"n_layer": config.num_hidden_layers, "n_inner": config.intermediate_size}
    published |= {"layer_norm_epsilon": config.layer_norm_eps, "activation_function": "swiglu"}
    published |= {"causal": False, "prenorm": False, "qkv_proj_bias": False, "rotary_emb_base": 1000}
    published |= {"mlp_fc1_bias": False, "mlp_fc2_bias": False, "type_vocab_size": 2}
    published |= {"rotary_emb_fraction": 1.0, "rotary_emb_interleaved": False, "rotary_emb_scale_base": None}
    file.write_text(json.dumps(published))


def answers(model: Any) -> dict[str, Any]:
    """Return logits of a prompt at some positions, and the tokens that follow it."""
    prompt = tokens()
    with torch.no_grad():
        logits = model(torch.tensor([prompt])).logits[0].numpy()
        following = list(prompt)
        for _ in range(NEW):
            following.append(int(model(torch.tensor([following])).logits[0, -1].argmax()))
    places = range(EVERY - 1, LENGTH, EVERY)
    shown = {str(place): [round(float(number), 5) for number in logits[place]] for place in places}
    return {"logits": shown, "greedy": following[LENGTH:]}


def sentence_vectors(model: Any, checkpoint: Path, pooling: str) -> list[list[float]]:
    """Return the vectors of sentence-transformers, and leave its files in the folder."""
    sentence = import_module("sentence_transformers")
    steps = import_module("sentence_transformers.sentence_transformer.modules")
    transformer = steps.Transformer(str(checkpoint))
    pool = steps.Pooling(model.config.hidden_size, pooling_mode=pooling)
    made = sentence.SentenceTransformer(modules=[transformer, pool, steps.Normalize()], device="cpu")
    vectors = made.encode(list(TEXTS))
    made.save_pretrained(str(checkpoint))
    return [[round(float(number), 6) for number in vector] for vector in vectors]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
