"""The byte-level BPE tokenizer: single digits, ChatML marks, tool tags; learnt from the training text."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from training.chat.corpus import EVERYDAY, dialogues
from training.chat.dialogue import Split
from training.chat.prose import prose
from training.chat.recipe import VOCABULARY
from training.chat.template import learnt_text

END_OF_TEXT = "<|endoftext|>"
SPECIAL = (END_OF_TEXT, "<|im_start|>", "<|im_end|>")
TAGS = ("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>")
SAMPLE = 20_000

# A word never takes the space before it into its token. So it has the same tokens after a space, a quote or
# an underscore, and a small model can copy it from one place to another.
PIECES = r"\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+"


def training_texts(seed: int) -> Iterator[str]:
    for dialogue in dialogues(seed, Split.TRAIN, SAMPLE, EVERYDAY):
        yield learnt_text(dialogue)[0]
    rng = random.Random(f"{seed} prose")
    for _ in range(SAMPLE // 10):
        yield prose(rng)


def train_tokenizer(seed: int) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    pieces = pre_tokenizers.Split(Regex(PIECES), "isolated")
    bytes_ = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pieces, bytes_])
    tokenizer.decoder = decoders.ByteLevel()
    tags = [AddedToken(tag, special=False, normalized=False) for tag in TAGS]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(TAGS),
        special_tokens=[AddedToken(mark, special=True, normalized=False) for mark in SPECIAL],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(without_marks(training_texts(seed)), trainer)
    tokenizer.add_tokens(tags)
    return tokenizer


def without_marks(texts: Iterator[str]) -> Iterator[str]:
    """The pieces between marks and tags, so that no merge is spent on their spelling."""
    for text in texts:
        for mark in (*SPECIAL, *TAGS):
            text = text.replace(mark, "\0")
        yield from (piece for piece in text.split("\0") if piece.strip())


def load_tokenizer(folder: Path) -> Tokenizer:
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


def token_id(tokenizer: Tokenizer, mark: str) -> int:
    """The id of a mark the tokenizer must have."""
    found = tokenizer.token_to_id(mark)
    if found is None:
        raise ValueError(f"the tokenizer has no token {mark}")
    return found
