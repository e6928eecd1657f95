"""The tokenizers of `make_gguf`'s models, of 96 tokens."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

tokenizers = import_module("tokenizers")
transformers = import_module("transformers")

SPECIAL = ("<s>", "</s>", "<unk>", "<pad>")
BERT_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS = ("hello", "world", "tide", "storm", "the", "and", "of", "longer", "text")
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def save_tokenizer(folder: Path, *, bert: bool) -> None:
    """Write a tokenizer of letters: byte-level BPE, or WordPiece."""
    made, special = _word_piece() if bert else _byte_level()
    transformers.PreTrainedTokenizerFast(tokenizer_object=made, **special).save_pretrained(folder)


def _byte_level() -> tuple[object, dict[str, str]]:
    letters = [*map(chr, range(33, 122)), "th", "\u0120", "\u010a", *SPECIAL]
    vocabulary = {text: index for index, text in enumerate(letters)}
    made = tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, [("t", "h")]))
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    names = ("bos_token", "eos_token", "unk_token", "pad_token")
    return made, dict(zip(names, SPECIAL, strict=True))


def _word_piece() -> tuple[object, dict[str, str]]:
    pieces = [*BERT_SPECIAL, *LETTERS, *(f"##{letter}" for letter in LETTERS), *WORDS]
    pieces += [f"[unused{index}]" for index in range(96 - len(pieces))]
    vocabulary = {text: index for index, text in enumerate(pieces)}
    made = tokenizers.Tokenizer(tokenizers.models.WordPiece(vocabulary, unk_token="[UNK]"))
    made.normalizer = tokenizers.normalizers.BertNormalizer()
    made.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    return made, dict(zip(names, BERT_SPECIAL, strict=True))
