"""Makes scorers/: tiny cross-encoders, classifiers and sparse encoders, and what their own libraries say.

As make_encoders.py, whose tokenizers they share: an ONNX file by torch.onnx.export, the tokenizer, the files
that sentence-transformers writes, random weights. expected.json holds pairs with the scores of CrossEncoder,
texts with the probabilities of transformers, or texts with the weights of SparseEncoder.

Needs what nothing else here does (made with torch 2.13.0, transformers 5.24.0, sentence-transformers 6.2.0,
onnx 1.23.2, CPU, float32), in an environment of its own:

    python -m tests.golden.make_scorers [NAME ...]
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.golden.make_encoders import (
    BERT_NAMES,
    DECIMALS,
    ROBERTA_NAMES,
    SEED,
    byte_pieces,
    onnx,
    sentence,
    spread,
    tokenizers,
    torch,
    transformers,
    unigrams,
    word_pieces,
    write_json,
    write_tokenizer,
)

FOLDER = Path(__file__).with_name("scorers")
LONGEST = 40
"""Tokens of an input."""
HIDDEN = 16
SMALL = {
    "hidden_size": HIDDEN,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": LONGEST,
}
LONG = "the keeper wrote down the wind and the tide of every harbour, " * 6
PAIRS = (
    ("lighthouse", "A ship passes the lighthouse before dawn."),
    ("which port at low tide?", "Which ports can a vessel of this draught enter at low tide?"),
    ("wind", "7"),
    ("wind", LONG),
    (LONG, "A ship passes the lighthouse."),
    (LONG, "rain and fog, " + LONG),
)
"""Texts that fit, and such that the document, the query, or both are cut."""
TEXTS = ("lighthouse", "A ship passes the lighthouse before dawn.", "rain and fog over every harbour")
PROMPT = "which ships? "
KEPT = (
    "config.json",
    "config_sentence_transformers.json",
    "modules.json",
    "sentence_bert_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "1_SpladePooling/config.json",
    "model.onnx",
    "expected.json",
)


def paired(made: Any, template: str) -> Any:
    """Give a tokenizer the template of a pair beside that of a text."""
    begin, end = template.split()[0], template.split()[-1].partition(":")[0]
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single=f"{begin} $A {end}",
        pair=template,
        special_tokens=[(name, made.token_to_id(name)) for name in (begin, end)],
    )
    return made


def head(kind: str, purpose: str, labels: int = 1, **config: Any) -> Any:
    """Return a model of transformers with a head of so many labels, and weights from a fixed seed."""
    torch.manual_seed(SEED)
    made = getattr(transformers, f"{kind}Config")(**config, num_labels=labels, attn_implementation="eager")
    return spread(getattr(transformers, f"{kind}For{purpose}")(made).eval())


def bert(folder: Path) -> None:
    """As ms-marco-MiniLM: types say which text a token is of; a sigmoid, as no file says otherwise."""
    made = paired(word_pieces(), "[CLS] $A [SEP] $B:1 [SEP]:1")
    inputs = ["input_ids", "token_type_ids", "attention_mask"]
    write_tokenizer(made, folder, model_input_names=inputs, model_max_length=LONGEST, **BERT_NAMES)
    cross_encoder(head("Bert", "SequenceClassification", vocab_size=made.get_vocab_size(), **SMALL), folder)


def xlm_roberta(folder: Path) -> None:
    """As bge-reranker: two end tokens between the texts."""
    made = paired(unigrams("<s>", "</s>"), "<s> $A </s> </s> $B </s>")
    write_tokenizer(made, folder, model_max_length=LONGEST, **ROBERTA_NAMES)
    size = {**SMALL, "max_position_embeddings": LONGEST + 2, "type_vocab_size": 1}
    model = head("XLMRoberta", "SequenceClassification", vocab_size=made.get_vocab_size(), **size)
    cross_encoder(model, folder)


def modernbert(folder: Path) -> None:
    """As gte-reranker-modernbert: rotary positions; scores without an activation."""
    made = byte_pieces(("[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"), "[CLS]", "[SEP]")
    write_tokenizer(paired(made, "[CLS] $A [SEP] $B [SEP]"), folder, model_max_length=LONGEST, **BERT_NAMES)
    ids = {"pad_token_id": 1, "cls_token_id": 0, "sep_token_id": 2, "bos_token_id": 0, "eos_token_id": 2}
    local = {"local_attention": 8, "global_attn_every_n_layers": 2}
    size = {**SMALL, "vocab_size": made.get_vocab_size(), "num_hidden_layers": 2}
    model = head("ModernBert", "SequenceClassification", **size, **ids, **local)
    cross_encoder(model, folder, torch.nn.Identity())


def deberta(folder: Path) -> None:
    """As mxbai-rerank: relative positions, no token types."""
    made = paired(unigrams("<s>", "</s>"), "<s> $A </s> $B </s>")
    write_tokenizer(made, folder, model_max_length=LONGEST, **ROBERTA_NAMES)
    relative: dict[str, Any] = {
        "relative_attention": True,
        "pos_att_type": ["p2c", "c2p"],
        "position_buckets": 8,
    }
    size: dict[str, Any] = {**SMALL, "type_vocab_size": 0, "pad_token_id": 1}
    size["vocab_size"] = made.get_vocab_size()
    model = head(
        "DebertaV2",
        "SequenceClassification",
        **size,
        **relative,
        share_att_key=True,
        norm_rel_ebd="layer_norm",
    )
    cross_encoder(model, folder)


def cross_encoder(model: Any, folder: Path, activation: Any = None) -> None:
    """Write everything beside the tokenizer, and the scores of CrossEncoder."""
    model.save_pretrained(folder)
    whole = sentence.CrossEncoder(str(folder), activation_fn=activation, device="cpu")
    whole.save_pretrained(str(folder), create_model_card=False)
    export(model, whole.tokenizer, folder)
    scores = whole.predict([list(pair) for pair in PAIRS])
    raw = whole.predict([list(pair) for pair in PAIRS], activation_fn=torch.nn.Identity())
    prompted = whole.predict([list(pair) for pair in PAIRS], prompt=PROMPT)
    expected = {"pairs": PAIRS, "scores": row(scores), "raw": row(raw), "prompt": PROMPT}
    write_json(folder / "expected.json", {**expected, "prompted": row(prompted)})


def classifier(folder: Path) -> None:
    """Three labels: a softmax."""
    made = word_pieces()
    fast = write_tokenizer(made, folder, model_max_length=LONGEST, **BERT_NAMES)
    shape = {"dim": HIDDEN, "n_layers": 1, "n_heads": 2, "hidden_dim": 24}
    size = {"vocab_size": made.get_vocab_size(), "max_position_embeddings": LONGEST}
    names = {0: "calm", 1: "windy", 2: "stormy"}
    model = head("DistilBert", "SequenceClassification", 3, **shape, **size, id2label=names)
    model.save_pretrained(folder)
    export(model, fast, folder)
    with torch.no_grad():
        logits = model(**fast(list(TEXTS), padding=True, return_tensors="pt")).logits
    scores = [row(one) for one in torch.softmax(logits, dim=1)]
    write_json(folder / "expected.json", {"texts": TEXTS, "labels": list(names.values()), "scores": scores})


def splade(folder: Path) -> None:
    """Logits of the whole vocabulary, pooled by sentence-transformers' SparseEncoder."""
    made = word_pieces()
    write_tokenizer(made, folder, model_max_length=LONGEST, **BERT_NAMES)
    model = head(
        "DistilBert",
        "MaskedLM",
        vocab_size=made.get_vocab_size(),
        dim=HIDDEN,
        n_layers=1,
        n_heads=2,
        hidden_dim=24,
        max_position_embeddings=LONGEST,
    )
    model.save_pretrained(folder)
    whole = sentence.SparseEncoder(str(folder), device="cpu")
    whole.save_pretrained(str(folder), create_model_card=False)
    export(model, whole.tokenizer, folder)
    weights = [
        {str(index): round(float(value), DECIMALS) for index, value in enumerate(one) if value > 0}
        for one in whole.encode(list(TEXTS)).to_dense()
    ]
    write_json(folder / "expected.json", {"texts": TEXTS, "weights": weights})


def bge_m3(folder: Path) -> None:
    """As bge-m3: three outputs, of which the first is CLS, the second weighs tokens as FlagEmbedding does."""
    made = unigrams("<s>", "</s>")
    fast = write_tokenizer(made, folder, model_max_length=LONGEST, **ROBERTA_NAMES)
    torch.manual_seed(SEED)
    size = {**SMALL, "max_position_embeddings": LONGEST + 2, "type_vocab_size": 1}
    config = transformers.XLMRobertaConfig(
        vocab_size=made.get_vocab_size(), attn_implementation="eager", **size
    )
    whole = spread(Three(transformers.XLMRobertaModel(config)).eval())
    whole.model.save_pretrained(folder)
    names = ["input_ids", "attention_mask"]
    batch = fast(list(TEXTS), padding=True, return_tensors="pt")
    axes = {name: {0: "batch_size", 1: "sequence_length"} for name in [*names, *Three.NAMES[1:]]}
    torch.onnx.export(
        whole,
        tuple(batch[name] for name in names),
        folder / "model.onnx",
        input_names=names,
        output_names=list(Three.NAMES),
        dynamic_axes={**axes, Three.NAMES[0]: {0: "batch_size"}},
        opset_version=18,
        dynamo=False,
    )
    without_names(folder / "model.onnx")
    with torch.no_grad():
        dense, sparse, _ = whole(*(batch[name] for name in names))
    ignored = {fast.cls_token_id, fast.eos_token_id, fast.pad_token_id, fast.unk_token_id}
    weights = [
        lexical(ids, row, ignored) for ids, row in zip(batch["input_ids"].tolist(), sparse, strict=True)
    ]
    write_json(
        folder / "expected.json", {"texts": TEXTS, "vectors": [row(one) for one in dense], "weights": weights}
    )


def lexical(ids: Sequence[int], weights: Any, ignored: set[int]) -> dict[str, float]:
    """Return the greatest weight above zero of each token, as FlagEmbedding's lexical weights are made."""
    found: dict[int, float] = {}
    for token, weight in zip(ids, weights.flatten().tolist(), strict=True):
        if token not in ignored and weight > found.get(token, 0):
            found[token] = weight
    return {str(token): round(found[token], DECIMALS) for token in sorted(found)}


class Three(torch.nn.Module):  # type: ignore[misc, name-defined]
    """An encoder with the heads of bge-m3."""

    NAMES = ("dense_vecs", "sparse_vecs", "colbert_vecs")

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.sparse, self.colbert = torch.nn.Linear(HIDDEN, 1), torch.nn.Linear(HIDDEN, HIDDEN)

    def forward(self, input_ids: Any, attention_mask: Any) -> Any:
        hidden = self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        dense = torch.nn.functional.normalize(hidden[:, 0], dim=-1)
        colbert = torch.nn.functional.normalize(self.colbert(hidden), dim=-1)
        return dense, torch.relu(self.sparse(hidden)), colbert


def row(values: Any) -> list[float]:
    return [round(float(value), DECIMALS) for value in values]


def export(model: Any, fast: Any, folder: Path) -> None:
    """model.onnx: the logits of any number of inputs of any length."""
    options = {"padding": True, "truncation": True, "max_length": LONGEST, "return_tensors": "pt"}
    batch = fast(*map(list, zip(*PAIRS[:2], strict=True)), **options)
    names = [name for name in batch if name in fast.model_input_names]

    class Logits(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *tensors: Any) -> Any:
            return self.model(**dict(zip(names, tensors, strict=True))).logits

    axes = {name: {0: "batch_size", 1: "sequence_length"} for name in names}
    torch.onnx.export(
        Logits().eval(),
        tuple(batch[name] for name in names),
        folder / "model.onnx",
        input_names=names,
        output_names=["logits"],
        dynamic_axes={**axes, "logits": {0: "batch_size"}},
        opset_version=18,
        dynamo=False,
    )
    without_names(folder / "model.onnx")


def without_names(path: Path) -> None:
    """Shorten a graph's inner names, which take most of a tiny model's bytes."""
    made = onnx.load(path)
    outer = {value.name for value in (*made.graph.input, *made.graph.output)}
    short: dict[str, str] = {"": ""}

    def renamed(name: str) -> str:
        return name if name in outer else short.setdefault(name, f"v{len(short)}")

    for node in made.graph.node:
        node.name = node.doc_string = ""
        node.input[:] = [renamed(name) for name in node.input]
        node.output[:] = [renamed(name) for name in node.output]
    for tensor in made.graph.initializer:
        tensor.name = renamed(tensor.name)
    del made.graph.value_info[:]
    onnx.checker.check_model(made)
    onnx.save(made, path)


MAKERS: Mapping[str, Callable[[Path], None]] = {
    "bert": bert,
    "xlm-roberta": xlm_roberta,
    "modernbert": modernbert,
    "deberta": deberta,
    "classifier": classifier,
    "splade": splade,
    "bge-m3": bge_m3,
}


def main(names: Sequence[str]) -> None:
    for name in names or MAKERS:
        with tempfile.TemporaryDirectory() as root:
            made, folder = Path(root) / name, FOLDER / name
            made.mkdir()
            MAKERS[name](made)
            shutil.rmtree(folder, ignore_errors=True)
            for file in KEPT:
                if (made / file).is_file():
                    (folder / file).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(made / file, folder / file)


if __name__ == "__main__":
    import_module("transformers.utils.logging").set_verbosity_error()
    main(sys.argv[1:])
