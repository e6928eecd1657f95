"""Makes encoders/: tiny models of the families people embed with, and what their own library says of texts.

Every folder is what a user has: an ONNX file by an ordinary exporter (optimum, or torch.onnx.export for the
text towers), the tokenizer, and the files that sentence-transformers writes. The weights are random; so that
a wrong mask, position or pooling shows, they are far larger than those a training starts from. expected.json
holds texts and vectors: by sentence-transformers, for the towers by transformers.

Needs what nothing else here does (made with torch 2.13.0, transformers 4.57.6, sentence-transformers 5.7.0,
optimum-onnx 0.1.0, onnx 1.23.2, CPU, float32), in an environment of its own:

    python tests/golden/make_encoders.py [NAME ...]
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("encoders")
SEED = 20
SPREAD = 0.35
"""Standard deviation of the weights."""
DECIMALS = 6
LONGEST = 64
"""Tokens of a text."""
HIDDEN = 24
SMALL = {
    "hidden_size": HIDDEN,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 32,
}
CORPUS = (
    "The lighthouse keeper wrote down the wind, the tide and the name of every ship that passed at dawn.",
    "Which ports can a vessel of this draught enter at low tide?",
    "Instruct: Given a question, find the passage that answers it. query: passage: search_document: ",
    "Rain over the northern coast, clearing from the west towards the evening; winds light and variable.",
    "Every harbour has a pilot who knows the sand banks, and every pilot has a story about the fog of 1887.",
)
TEXTS = (
    "lighthouse",
    "A ship passes the lighthouse before dawn.",
    "Which ports can a vessel of this draught enter at low tide?",
    "the wind, the wind, the wind",
    "7",
    "rain and fog over every harbour of the northern coast and towards the west",
)
LONG = "the keeper wrote down the wind and the tide of every harbour, " * 12
"""More tokens than any of the models takes: the libraries cut its end."""
KEPT = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "1_Pooling/config.json",
    "2_Dense/config.json",
    "2_Dense/model.safetensors",
    "3_LayerNorm/config.json",
    "3_LayerNorm/model.safetensors",
)

# Imported by name: they are not installed where the types are checked.
onnx = import_module("onnx")
torch = import_module("torch")
transformers = import_module("transformers")
tokenizers = import_module("tokenizers")
sentence = import_module("sentence_transformers")
steps = import_module("sentence_transformers.sentence_transformer.modules")


def word_pieces() -> Any:
    """BERT's way: lower case, words in pieces, [CLS] and [SEP] around."""
    made = tokenizers.Tokenizer(tokenizers.models.WordPiece(unk_token="[UNK]"))
    made.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = tokenizers.trainers.WordPieceTrainer(vocab_size=160, special_tokens=special)
    made.train_from_iterator(CORPUS, trainer)
    return around(made, "[CLS]", "[SEP]")


def byte_pieces(special: Sequence[str], begin: str | None, end: str) -> Any:
    """RoBERTa's, CLIP's and Qwen's way: bytes in pieces."""
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    alphabet = sorted({letter for text in (*CORPUS, *TEXTS) for letter in text if letter != " "})
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=160, special_tokens=list(special), initial_alphabet=[*alphabet, "Ġ"]
    )
    made.train_from_iterator(CORPUS, trainer)
    return around(made, begin, end)


def unigrams(begin: str | None, end: str) -> Any:
    """XLM-R's and SigLIP's way: SentencePiece."""
    made = tokenizers.Tokenizer(tokenizers.models.Unigram())
    made.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    made.decoder = tokenizers.decoders.Metaspace()
    trainer = tokenizers.trainers.UnigramTrainer(
        vocab_size=160, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"], unk_token="<unk>"
    )
    made.train_from_iterator(CORPUS, trainer)
    return around(made, begin, end)


def around(made: Any, begin: str | None, end: str) -> Any:
    """Puts special tokens around a text."""
    names = [name for name in (begin, end) if name]
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single=" ".join([*([begin] if begin else []), "$A", end]),
        special_tokens=[(name, made.token_to_id(name)) for name in names],
    )
    return made


def write_tokenizer(made: Any, folder: Path, **names: Any) -> Any:
    """As a fast tokenizer of transformers writes it; the tokenizer is given back."""
    usual = {"model_input_names": ["input_ids", "attention_mask"], "model_max_length": LONGEST}
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=made, **{**usual, **names})
    fast.save_pretrained(folder)
    return fast


def random_model(kind: str, **config: Any) -> Any:
    """A model of transformers with weights from a fixed seed."""
    torch.manual_seed(SEED)
    model = getattr(transformers, f"{kind}Model")(getattr(transformers, f"{kind}Config")(**config))
    return spread(model.eval())


def spread(model: Any) -> Any:
    for name, weights in model.named_parameters():
        if "norm" not in name.lower():
            torch.nn.init.normal_(weights, std=SPREAD)
        else:
            torch.nn.init.normal_(weights, mean=1.0 if name.endswith("weight") else 0.0, std=0.1)
    return model


BERT_NAMES = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
ROBERTA_NAMES = {
    "pad_token": "<pad>",
    "unk_token": "<unk>",
    "cls_token": "<s>",
    "sep_token": "</s>",
    "bos_token": "<s>",
    "eos_token": "</s>",
}
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")


def bert(folder: Path) -> None:
    """As MiniLM, BGE and E5: means, or the first token."""
    made = word_pieces()
    inputs = ["input_ids", "token_type_ids", "attention_mask"]
    write_tokenizer(made, folder, model_input_names=inputs, **BERT_NAMES)
    model = random_model("Bert", vocab_size=made.get_vocab_size(), max_position_embeddings=LONGEST, **SMALL)
    finish(model, folder, ["mean"], prompts={"query": "query: ", "passage": "passage: "})
    poolings(folder)


def distilbert(folder: Path) -> None:
    """As distiluse: a dense layer behind two poolings side by side, and a layer norm."""
    made = word_pieces()
    write_tokenizer(made, folder, **BERT_NAMES)
    shape = {"dim": HIDDEN, "n_layers": 2, "n_heads": 4, "hidden_dim": 32}
    size = {"vocab_size": made.get_vocab_size(), "max_position_embeddings": LONGEST}
    torch.manual_seed(SEED)
    layers = [spread(steps.Dense(2 * HIDDEN, 16)), spread(steps.LayerNorm(16))]
    finish(random_model("DistilBert", **shape, **size), folder, ["cls", "mean"], behind=layers)


def mpnet(folder: Path) -> None:
    """As all-mpnet-base-v2."""
    made = byte_pieces(SPECIAL, "<s>", "</s>")
    write_tokenizer(made, folder, **ROBERTA_NAMES)
    size = {"vocab_size": made.get_vocab_size(), "max_position_embeddings": LONGEST + 2, "pad_token_id": 1}
    finish(random_model("MPNet", **size, **SMALL), folder, ["mean"])


def roberta(folder: Path) -> None:
    """As all-distilroberta-v1: positions begin behind the padding token's id."""
    made = byte_pieces(SPECIAL, "<s>", "</s>")
    write_tokenizer(made, folder, **ROBERTA_NAMES)
    size = {"vocab_size": made.get_vocab_size(), "max_position_embeddings": LONGEST + 2, "type_vocab_size": 1}
    finish(random_model("Roberta", **size, **SMALL), folder, ["mean"])


def xlm_roberta(folder: Path) -> None:
    """As multilingual-e5 and bge-m3: the first token, with a prompt by default."""
    made = unigrams("<s>", "</s>")
    write_tokenizer(made, folder, **ROBERTA_NAMES)
    size = {"vocab_size": made.get_vocab_size(), "max_position_embeddings": LONGEST + 2, "type_vocab_size": 1}
    prompts = {"query": "query: ", "passage": "passage: "}
    finish(random_model("XLMRoberta", **size, **SMALL), folder, ["cls"], prompts=prompts, usual="passage")


def modernbert(folder: Path) -> None:
    """As gte-modernbert and nomic's modernbert-embed: rotary positions, local and global attention."""
    made = byte_pieces(("[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"), "[CLS]", "[SEP]")
    write_tokenizer(made, folder, **BERT_NAMES)
    size = {"vocab_size": made.get_vocab_size(), "max_position_embeddings": LONGEST}
    ids = {"pad_token_id": 1, "cls_token_id": 0, "sep_token_id": 2, "bos_token_id": 0, "eos_token_id": 2}
    local = {"local_attention": 8, "global_attn_every_n_layers": 2, "attn_implementation": "eager"}
    model = random_model("ModernBert", **size, **ids, **local, **SMALL, reference_compile=False)
    prompts = {"query": "search_query: ", "document": "search_document: "}
    finish(model, folder, ["mean"], prompts=prompts)


def qwen3(folder: Path) -> None:
    """As Qwen3-Embedding: a decoder with past inputs, the last token, an instruction before queries.

    Exported as a decoder that generates, then its last layer, from vectors to logits, is taken off.
    """
    made = byte_pieces(("<|endoftext|>", "<|im_start|>", "<|im_end|>"), None, "<|endoftext|>")
    names = {"pad_token": "<|endoftext|>", "eos_token": "<|im_end|>", "padding_side": "left"}
    write_tokenizer(made, folder, **names)
    size = {"vocab_size": made.get_vocab_size(), "max_position_embeddings": LONGEST}
    heads = {"num_key_value_heads": 2, "head_dim": 8, "attn_implementation": "eager"}
    model = random_model("Qwen3", **{**SMALL, **size, **heads, "num_hidden_layers": 1})
    prompts = {
        "query": "Instruct: Given a question, find the passage that answers it\nQuery:",
        "document": "",
    }
    finish(model, folder, ["lasttoken"], prompts=prompts)
    causal = transformers.Qwen3ForCausalLM(model.config).eval()
    causal.model.load_state_dict(model.state_dict())
    with tempfile.TemporaryDirectory() as generating:
        shutil.copytree(folder, generating, dirs_exist_ok=True)
        causal.save_pretrained(generating)
        export(Path(generating), folder, "text-generation-with-past")
    without_logits(folder / "model.onnx")


def finish(
    model: Any,
    folder: Path,
    modes: Sequence[str],
    *,
    behind: Sequence[Any] = (),
    prompts: Mapping[str, str] | None = None,
    usual: str | None = None,
) -> None:
    """Everything beside the tokenizer: graph, files of sentence-transformers, card, expectations."""
    model.save_pretrained(folder)
    token = steps.Transformer(str(folder), max_seq_length=LONGEST)
    pooling = steps.Pooling(HIDDEN, modes[0] if len(modes) == 1 else tuple(modes))
    whole = sentence.SentenceTransformer(modules=[token, pooling, *behind, steps.Normalize()], device="cpu")
    whole.prompts, whole.default_prompt_name = dict(prompts or {}), usual
    whole.save(str(folder), create_model_card=False)
    export(folder, folder, "feature-extraction")
    write_card(folder)
    write_expected(folder, said(whole, prompts or {}), whole.encode([LONG], prompt="")[0])


def export(checkpoint: Path, folder: Path, task: str) -> None:
    """model.onnx, as optimum writes it."""
    optimum = import_module("optimum.exporters.onnx")
    with tempfile.TemporaryDirectory() as exported:
        optimum.main_export(
            str(checkpoint), exported, task=task, library_name="transformers", do_validation=False, opset=18
        )
        shutil.copy(Path(exported) / "model.onnx", folder / "model.onnx")


def without_logits(path: Path) -> None:
    """What the layer that makes logits is given becomes the output last_hidden_state."""
    model = onnx.load(path)
    nodes, outputs = model.graph.node, model.graph.output
    head = next(node for node in nodes if "logits" in node.output)
    weights, hidden = head.input[1], head.input[0]
    nodes.remove(head)
    nodes.append(onnx.helper.make_node("Identity", [hidden], ["last_hidden_state"]))
    logits = next(output for output in outputs if output.name == "logits")
    logits.name = "last_hidden_state"
    logits.type.tensor_type.shape.dim[2].dim_value = HIDDEN
    for tensor in [tensor for tensor in model.graph.initializer if tensor.name == weights]:
        model.graph.initializer.remove(tensor)
    onnx.save(model, path)


def said(whole: Any, prompts: Mapping[str, str]) -> Mapping[str, Any]:
    """The vectors by `input_type`."""
    vectors = {"text": whole.encode(list(TEXTS))}
    if prompts:
        vectors |= {"query": whole.encode_query(list(TEXTS)), "document": whole.encode_document(list(TEXTS))}
    return vectors


def poolings(folder: Path) -> None:
    """poolings.json: the vectors of every pooling there is, not brought to length one; a prompt left out."""
    found = {}
    for mode in steps.Pooling.POOLING_MODES:
        found[mode] = pooled(folder, mode, include_prompt=True)
    found["mean without prompt"] = pooled(folder, "mean", include_prompt=False)
    found["weightedmean without prompt"] = pooled(folder, "weightedmean", include_prompt=False)
    write_json(folder / "poolings.json", {"prompt": "query: ", "vectors": rounded(found)})


def pooled(folder: Path, mode: str, *, include_prompt: bool) -> Any:
    token = steps.Transformer(str(folder), max_seq_length=LONGEST)
    whole = sentence.SentenceTransformer(
        modules=[token, steps.Pooling(HIDDEN, mode, include_prompt)], device="cpu"
    )
    return whole.encode(list(TEXTS[:3]), prompt="query: ")


def clip_text(folder: Path) -> None:
    """CLIP's text tower: causal, the end token's vector, projected."""
    made = byte_pieces(("<|startoftext|>", "<|endoftext|>"), "<|startoftext|>", "<|endoftext|>")
    names = {"pad_token": "<|endoftext|>", "bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>"}
    fast = write_tokenizer(made, folder, **names)
    config = transformers.CLIPTextConfig(
        **SMALL,
        vocab_size=made.get_vocab_size(),
        max_position_embeddings=LONGEST,
        projection_dim=16,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
        attn_implementation="eager",
    )
    torch.manual_seed(SEED)
    model = spread(transformers.CLIPTextModelWithProjection(config).eval())
    tower(model, fast, folder, ("input_ids", "attention_mask"), "text_embeds", padding=True)


def siglip_text(folder: Path) -> None:
    """SigLIP's text tower: no mask, every text padded to the context, the last position's vector."""
    made = unigrams(None, "</s>")
    fast = write_tokenizer(made, folder, pad_token="</s>", eos_token="</s>", unk_token="<unk>")
    config = transformers.SiglipTextConfig(
        **SMALL,
        vocab_size=made.get_vocab_size(),
        max_position_embeddings=LONGEST,
        projection_size=HIDDEN,
        pad_token_id=2,
        eos_token_id=2,
        attn_implementation="eager",
    )
    torch.manual_seed(SEED)
    model = spread(transformers.SiglipTextModel(config).eval())
    tower(model, fast, folder, ("input_ids",), "pooler_output", padding="max_length")


def tower(
    model: Any, fast: Any, folder: Path, inputs: Sequence[str], output: str, *, padding: bool | str
) -> None:
    """Everything beside the tokenizer of a dual encoder's text tower."""

    class Tower(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *tensors: Any) -> Any:
            answer = self.model(**dict(zip(inputs, tensors, strict=True)))
            return answer[output], answer["last_hidden_state"]

    batch = fast(list(TEXTS), padding=padding, max_length=LONGEST, return_tensors="pt")
    names = [output, "last_hidden_state"]
    axes = {name: {0: "batch_size", 1: "sequence_length"} for name in (*inputs, "last_hidden_state")}
    example = tuple(batch[name] for name in inputs)
    torch.onnx.export(
        Tower().eval(),
        example,
        folder / "model.onnx",
        input_names=list(inputs),
        output_names=names,
        dynamic_axes={**axes, output: {0: "batch_size"}},
        opset_version=18,
        dynamo=False,
    )
    long = fast([LONG], truncation=True, max_length=LONGEST, return_tensors="pt")
    with torch.no_grad():
        vectors = torch.nn.functional.normalize(Tower()(*example)[0]).numpy()
        cut = torch.nn.functional.normalize(Tower()(*(long[name] for name in inputs))[0]).numpy()
    text_config = {**model.config.to_diff_dict(), "max_position_embeddings": LONGEST}
    write_json(folder / "config.json", {"text_config": text_config, "vision_config": {}})
    write_card(folder)
    write_expected(folder, {"text": vectors}, cut[0])


def write_card(folder: Path) -> None:
    card = {
        "name": folder.name,
        "provider": "tests",
        "type": "embeddings",
        "backend": "onnx-text-encoder",
        "parameters": {"encoding_format": {}},
        "extras": {"truncate": {}},
    }
    write_json(folder / "model.json", card)


def write_expected(folder: Path, vectors: Mapping[str, Any], cut: Any) -> None:
    long = {"long": LONG, "cut": rounded({"": [cut]})[""][0]}
    write_json(folder / "expected.json", {"texts": TEXTS, "vectors": rounded(vectors), **long})


def rounded(vectors: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        name: [[round(float(number), DECIMALS) for number in row] for row in rows]
        for name, rows in vectors.items()
    }


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value) + "\n", encoding="utf-8")


MAKERS: Mapping[str, Callable[[Path], None]] = {
    "bert": bert,
    "distilbert": distilbert,
    "mpnet": mpnet,
    "roberta": roberta,
    "xlm-roberta": xlm_roberta,
    "modernbert": modernbert,
    "qwen3": qwen3,
    "clip-text": clip_text,
    "siglip-text": siglip_text,
}
OURS = ("model.onnx", "model.json", "expected.json", "poolings.json")


def main() -> None:
    for name in sys.argv[1:] or MAKERS:
        with tempfile.TemporaryDirectory() as root:
            made = Path(root) / name
            made.mkdir()
            MAKERS[name](made)
            keep(made, FOLDER / name)


def keep(made: Path, folder: Path) -> None:
    """What serving needs, without the weights that are in the graph."""
    shutil.rmtree(folder, ignore_errors=True)
    for file in (*KEPT, *OURS):
        if (made / file).is_file():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(made / file, folder / file)


if __name__ == "__main__":
    main()
