"""Makes dual_encoders/: tiny random CLIP, SigLIP and SigLIP 2, exported, and what transformers gives.

A folder holds `model.onnx` as optimum exports it, both towers in one graph; `vision_model.onnx` and
`text_model.onnx` as transformers.js has them; the files that transformers saves beside a model; and
`expected.npz`, vectors at length one of `PICTURES` and `TEXTS`. SigLIP 2 is the kind of fixed resolution,
which is SigLIP's architecture with Gemma's kind of tokenizer.

Needs torch, transformers and optimum-onnx, which nothing else here does (made with
torch 2.13.0, transformers 4.57.6, optimum-onnx 0.1.0, CPU):

    python -m tests.golden.make_dual_encoders
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from tests.golden.make_preprocessing import sample_image

GOLDEN = Path(__file__).with_name("dual_encoders")
IMAGE_SIZES = ((30, 40), (41, 29), (16, 16), (64, 20))
"""Heights and widths of what `make_preprocessing.picture` draws."""
TEXTS = ("a red house", "Snow!", "a dog at the sea and a boat far away")
EDGE, PATCH, HIDDEN, CONTEXT = 16, 8, 16, 40
PATCHES = (EDGE // PATCH) ** 2
SPREAD = 0.25
"""Deviation of the weights: transformers' own 0.02 would make all pictures nearly the same vector."""
TOWER = {
    "hidden_size": HIDDEN,
    "intermediate_size": 2 * HIDDEN,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
}
WORDS = ("red", "house", "snow", "dog", "sea", "boat", "far", "away", "the", "at", "and", "a")
KEPT = ("config.json", "preprocessor_config.json", "tokenizer.json", "tokenizer_config.json")


def main() -> None:
    import torch

    for name, make in FAMILIES.items():
        torch.manual_seed(7)
        with TemporaryDirectory() as scratch:
            write(GOLDEN / name, Path(scratch), *make())


def write(folder: Path, scratch: Path, model: Any, processor: Any, tokenizer: Any) -> None:
    """One folder, anew; what is exported goes through `scratch`."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    spread(model)
    for part in (model, processor, tokenizer):
        part.save_pretrained(scratch)
    import_module("optimum.exporters.onnx").main_export(
        str(scratch), str(scratch / "joint"), task="feature-extraction", do_validation=False
    )
    shutil.copy(scratch / "joint" / "model.onnx", folder)
    export_towers(model, folder)
    for path in folder.glob("*.onnx"):
        slim(path)
    for name in KEPT:
        (folder / name).write_text(
            json.dumps(json.loads((scratch / name).read_text()), separators=(",", ":"))
        )
    np.savez_compressed(folder / "expected.npz", **expected(model, processor, tokenizer))


def spread(model: Any) -> None:
    import torch

    model.eval()
    with torch.no_grad():
        for weights in model.parameters():
            if weights.dim() > 1:
                weights.normal_(0, SPREAD)


def expected(model: Any, processor: Any, tokenizer: Any) -> dict[str, Any]:
    """What transformers gives: texts of SigLIP are padded to the context, as it was trained."""
    import torch

    padding: Any = "max_length" if model.config.model_type == "siglip" else True
    pixels = processor([sample_image(*size) for size in IMAGE_SIZES], return_tensors="pt")["pixel_values"]
    tokens = tokenizer(list(TEXTS), padding=padding, max_length=CONTEXT, return_tensors="pt")
    if model.config.model_type == "siglip":
        tokens.pop("attention_mask", None)
    tokens.pop("token_type_ids", None)
    with torch.no_grad():
        images, texts = model.get_image_features(pixel_values=pixels), model.get_text_features(**tokens)
    return {
        "images": torch.nn.functional.normalize(images, dim=1).numpy(),
        "texts": torch.nn.functional.normalize(texts, dim=1).numpy(),
        "lengths": np.array([len(ids) for ids in tokenizer(list(TEXTS))["input_ids"]]),
    }


def export_towers(model: Any, folder: Path) -> None:
    """The towers apart: CLIP's end in its projections, SigLIP's in its pooling heads."""
    import torch

    siglip = model.config.model_type == "siglip"

    class Vision(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, pixel_values: Any) -> Any:
            seen = self.model.vision_model(pixel_values=pixel_values)
            vector = seen.pooler_output if siglip else self.model.visual_projection(seen.pooler_output)
            return vector, seen.last_hidden_state

    class Text(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any) -> Any:
            read = self.model.text_model(input_ids=input_ids)
            vector = read.pooler_output if siglip else self.model.text_projection(read.pooler_output)
            return vector, read.last_hidden_state

    pooled = ("pooler_output",) * 2 if siglip else ("image_embeds", "text_embeds")
    pixels, ids = torch.zeros(2, 3, EDGE, EDGE), torch.ones(2, CONTEXT, dtype=torch.long)
    for tower, name, inputs, taken, output in (
        (Vision(), "vision_model", "pixel_values", pixels, pooled[0]),
        (Text(), "text_model", "input_ids", ids, pooled[1]),
    ):
        axes = {0: "batch_size", **({1: "sequence_length"} if inputs == "input_ids" else {})}
        torch.onnx.export(
            tower.eval(),
            (taken,),
            str(folder / f"{name}.onnx"),
            input_names=[inputs],
            output_names=[output, "last_hidden_state"],
            dynamic_axes={inputs: axes, output: {0: "batch_size"}, "last_hidden_state": {0: "batch_size"}},
            opset_version=17,
            dynamo=False,
        )


def slim(path: Path) -> None:
    """Takes out what no runtime reads: where in Python a node came from, and the shapes between nodes."""
    onnx = import_module("onnx")
    graph = onnx.load(path)
    for node in graph.graph.node:
        node.ClearField("doc_string")
        node.ClearField("name")
    graph.graph.ClearField("value_info")
    graph.ClearField("metadata_props")
    names = {name: f"v{number}" for number, name in enumerate(_inner(graph.graph))}
    for node in graph.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for tensor in graph.graph.initializer:
        tensor.name = names.get(tensor.name, tensor.name)
    onnx.save(graph, path)


def _inner(graph: Any) -> Iterator[str]:
    outside = {value.name for value in (*graph.input, *graph.output)} | {""}
    made = dict.fromkeys(name for node in graph.node for name in (*node.output, *node.input))
    yield from (name for name in made if name not in outside)


def clip() -> Sequence[Any]:
    transformers = import_module("transformers")
    tokenizer = transformers.CLIPTokenizerFast(tokenizer_object=clip_tokenizer(), model_max_length=CONTEXT)
    ids = {"pad_token_id": tokenizer.eos_token_id, "bos_token_id": tokenizer.bos_token_id}
    ids["eos_token_id"] = tokenizer.eos_token_id
    config = transformers.CLIPConfig(
        text_config={**TOWER, **ids, "vocab_size": len(tokenizer), "max_position_embeddings": CONTEXT},
        vision_config={**TOWER, "image_size": EDGE, "patch_size": PATCH},
        projection_dim=HIDDEN,
    )
    processor = transformers.CLIPImageProcessor(
        size={"shortest_edge": EDGE}, crop_size={"height": EDGE, "width": EDGE}
    )
    return transformers.CLIPModel(config), processor, tokenizer


def siglip() -> Sequence[Any]:
    return _siglip(unigram_tokenizer(), pad="</s>", eos="</s>")


def siglip2() -> Sequence[Any]:
    return _siglip(gemma_tokenizer(), pad="<pad>", eos="<eos>")


def _siglip(library: Any, *, pad: str, eos: str) -> Sequence[Any]:
    transformers = import_module("transformers")
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=library, pad_token=pad, eos_token=eos, model_max_length=CONTEXT
    )
    config = transformers.SiglipConfig(
        text_config={
            **TOWER,
            "vocab_size": len(tokenizer),
            "max_position_embeddings": CONTEXT,
            "pad_token_id": tokenizer.pad_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "bos_token_id": None,
            "projection_size": HIDDEN,
        },
        vision_config={**TOWER, "image_size": EDGE, "patch_size": PATCH},
    )
    processor = transformers.SiglipImageProcessor(size={"height": EDGE, "width": EDGE})
    return transformers.SiglipModel(config), processor, tokenizer


def clip_tokenizer() -> Any:
    """CLIP's: bytes, each also at a word's end, and between two special tokens."""
    from tokenizers import (
        AddedToken,
        Regex,
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
        processors,
    )

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    texts = [*alphabet, *(letter + "</w>" for letter in alphabet)]
    specials = ("<|startoftext|>", "<|endoftext|>")
    vocab = {text: number for number, text in enumerate([*texts, *specials])}
    library = Tokenizer(
        models.BPE(
            vocab, [], end_of_word_suffix="</w>", unk_token="<|endoftext|>", continuing_subword_prefix=""
        )
    )
    library.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    words = Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")
    library.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(words, behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    library.decoder = decoders.ByteLevel()
    library.add_special_tokens([AddedToken(text, special=True) for text in specials])
    start, end = ((text, vocab[text]) for text in specials)
    library.post_processor = processors.RobertaProcessing(
        end, start, trim_offsets=False, add_prefix_space=False
    )
    return library


def unigram_tokenizer() -> Any:
    """SigLIP's: sentencepiece's unigrams, small letters without punctuation, closed by `</s>`."""
    from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

    letters = [(letter, -6.0) for letter in "▁abcdefghijklmnopqrstuvwxyz0123456789"]
    words = [("▁" + word, -3.0) for word in WORDS]
    library = Tokenizer(models.Unigram([("<unk>", 0.0), ("</s>", 0.0), *words, *letters], unk_id=0))
    library.normalizer = normalizers.Sequence(
        [normalizers.Lowercase(), normalizers.Replace(Regex(r"[!?.,;:]"), ""), normalizers.Strip()]
    )
    library.pre_tokenizer = pre_tokenizers.Metaspace()
    library.add_special_tokens([AddedToken("</s>", special=True)])
    library.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return library


def gemma_tokenizer() -> Any:
    """SigLIP 2's: byte-pair encoding over characters with bytes to fall back on, closed by `<eos>`."""
    from tokenizers import AddedToken, Tokenizer, models, normalizers, processors

    specials = ("<pad>", "<eos>", "<bos>", "<unk>")
    texts = [*specials, *(f"<0x{byte:02X}>" for byte in range(256)), *"▁abcdefghijklmnopqrstuvwxyz"]
    vocab = {text: number for number, text in enumerate(texts)}
    library = Tokenizer(models.BPE(vocab, [], unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    library.normalizer = normalizers.Sequence([normalizers.Lowercase(), normalizers.Replace(" ", "▁")])
    library.add_special_tokens([AddedToken(text, special=True) for text in specials])
    library.post_processor = processors.TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", 1)])
    return library


FAMILIES: Mapping[str, Callable[[], Sequence[Any]]] = {"clip": clip, "siglip": siglip, "siglip2": siglip2}
"""Folder to what makes its model, image processor and tokenizer."""


if __name__ == "__main__":
    main()
