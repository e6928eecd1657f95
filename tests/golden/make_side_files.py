"""Writes tests/golden/side_files: models whose files beside tokenizer.json change what a text is.

`tokenizers.json` has, for each case, the files and the token ids that transformers gives for the texts;
`lower-case` is an encoder of sentence-transformers with `do_lower_case` and `truncate_dim`, and its vectors.

Run with transformers 5, sentence-transformers 6, torch and onnxscript: python -m tests.golden.make_side_files
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

# Imported by name: they are not installed where the types are checked.
tokenizers = import_module("tokenizers")
torch = import_module("torch")
transformers = import_module("transformers")
sentence = import_module("sentence_transformers")
steps = import_module("sentence_transformers.sentence_transformer.modules")

FOLDER = Path(__file__).parent / "side_files"
TEXTS = ("The Tide", "tide<new>storm", "tide <new> storm", "a tide", "<pad>tide", "")
SENTENCES = ("The Tide", "the tide", "STORM tide", "a storm")
WORDS = ("tide", "storm", "the", "Tide", "The", "a")
KEPT = ("config.json", "tokenizer.json", "tokenizer_config.json", "modules.json", "1_Pooling/config.json")
SENTENCE_FILES = ("sentence_bert_config.json", "config_sentence_transformers.json")


def words(*special: str) -> Any:
    """One token a word, split at spaces; the special ones are added."""
    vocabulary = {"[UNK]": 0, **{word: index for index, word in enumerate(WORDS, 1)}, "<s>": 7, "</s>": 8}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    made.add_special_tokens(list(special))
    return made


def around(made: Any, single: str) -> Any:
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single=single, special_tokens=[("<s>", 7), ("</s>", 8)]
    )
    return made


def flagged(**flags: bool) -> dict[str, Any]:
    """An added token as tokenizer_config.json has it."""
    usual = dict.fromkeys(("lstrip", "rstrip", "single_word", "normalized", "special"), False)
    return {"content": "<new>", **usual, **flags}


ENDS = {"bos_token": "<s>", "eos_token": "</s>"}
CASES: Mapping[str, tuple[Any, dict[str, Any]]] = {
    "plain": (words(), {}),
    "added": (words("<s>", "</s>"), {"added_tokens_decoder": {"9": flagged(special=True)}}),
    "added-strips": (words(), {"added_tokens_decoder": {"9": flagged(lstrip=True, rstrip=True)}}),
    "added-single-word": (words(), {"added_tokens_decoder": {"9": flagged(single_word=True)}}),
    "pad-token": (words(), {"pad_token": "<pad>"}),
    "eos": (words("<s>", "</s>"), {**ENDS, "add_eos_token": True}),
    "bos-and-eos": (words("<s>", "</s>"), {**ENDS, "add_bos_token": True, "add_eos_token": True}),
    "eos-is-there": (
        around(words("<s>", "</s>"), "<s> $A </s>"),
        {**ENDS, "add_bos_token": True, "add_eos_token": True},
    ),
    "no-bos": (around(words("<s>", "</s>"), "<s> $A"), {**ENDS, "add_bos_token": False}),
    "extra-special": (words(), {"extra_special_tokens": ["<new>"]}),
}


def case(made: Any, config: Mapping[str, Any]) -> dict[str, Any]:
    """The files of a tokenizer, and the ids that transformers gives."""
    whole = {"tokenizer_class": "PreTrainedTokenizerFast", **config}
    with tempfile.TemporaryDirectory() as folder:
        made.save(str(Path(folder) / "tokenizer.json"))
        (Path(folder) / "tokenizer_config.json").write_text(json.dumps(whole))
        # Since release 5 it takes these as arguments only, and trusts tokenizer.json else.
        ends = {key: True for key in ("add_bos_token", "add_eos_token") if config.get(key)}
        loaded = transformers.AutoTokenizer.from_pretrained(folder, **ends)
        ids = [loaded(text)["input_ids"] for text in TEXTS]
    return {"tokenizer": json.loads(made.to_str()), "config": whole, "texts": TEXTS, "ids": ids}


def lower_case(folder: Path) -> None:
    """A BERT whose texts sentence-transformers puts in lower case and whose vectors it cuts."""
    torch.manual_seed(7)
    made = words("[CLS]", "[SEP]")
    with tempfile.TemporaryDirectory() as name:
        checkpoint = Path(name)
        fast = transformers.PreTrainedTokenizerFast(
            tokenizer_object=made, unk_token="[UNK]", pad_token="[UNK]"
        )
        fast.save_pretrained(checkpoint)
        shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
        config = transformers.BertConfig(vocab_size=11, max_position_embeddings=32, **shape)
        model = transformers.BertModel(config, add_pooling_layer=False).eval()
        for weights in model.parameters():
            torch.nn.init.normal_(weights, std=0.5)
        model.save_pretrained(checkpoint)
        token = steps.Transformer(str(checkpoint), do_lower_case=True)
        modules = [token, steps.Pooling(16, "mean"), steps.Normalize()]
        whole = sentence.SentenceTransformer(modules=modules, device="cpu", truncate_dim=12)
        whole.save(str(checkpoint), create_model_card=False)
        vectors = whole.encode(list(SENTENCES))
        export(token.model, checkpoint / "model.onnx")
        keep(checkpoint, folder)
        # Read by its loader, as of releases before 6, since this one saves the tokenizer instead.
        older = {"max_seq_length": 32, "do_lower_case": True}
        shutil.copy(checkpoint / "model.onnx", folder)
        made.save(str(folder / "tokenizer.json"))
        (folder / "sentence_bert_config.json").write_text(json.dumps(older))
    expected = {"texts": SENTENCES, "vectors": [[round(float(n), 6) for n in one] for one in vectors]}
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


def keep(checkpoint: Path, folder: Path) -> None:
    for name in (*KEPT, *SENTENCE_FILES):
        if (checkpoint / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(checkpoint / name, folder / name)


class Hidden(torch.nn.Module):  # type: ignore[misc, name-defined]
    """A model's last hidden state alone."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Any, attention_mask: Any) -> Any:
        return self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state


def export(model: Any, path: Path) -> None:
    """The graph from ids and mask to hidden states, both sizes free."""
    model.config._attn_implementation = "eager"
    ids, axes = torch.tensor([[1, 2, 3], [4, 5, 0]]), {0: "batch", 1: "sequence"}
    torch.onnx.export(
        Hidden(model).eval(),
        (ids, torch.ones_like(ids)),
        str(path),
        input_names=["input_ids", "attention_mask"],
        output_names=["last_hidden_state"],
        dynamic_axes=dict.fromkeys(("input_ids", "attention_mask", "last_hidden_state"), axes),
        opset_version=17,
        dynamo=False,
    )


if __name__ == "__main__":
    shutil.rmtree(FOLDER, ignore_errors=True)
    (FOLDER / "lower-case").mkdir(parents=True)
    written = {name: case(*made) for name, made in CASES.items()}
    (FOLDER / "tokenizers.json").write_text(json.dumps(written, indent=1, ensure_ascii=False) + "\n")
    lower_case(FOLDER / "lower-case")
