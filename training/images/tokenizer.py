"""The caption tokenizer: lower case, byte-level BPE learned from generated captions; no text is unknown."""

from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from training.images.shape import MAX_TOKENS, VOCABULARY

PAD, START, END = "<|pad|>", "<|startoftext|>", "<|endoftext|>"


def trained(captions: Iterable[str]) -> Tokenizer:
    """A tokenizer that frames a text with START and END and cuts it to MAX_TOKENS."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[PAD, START, END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(captions, trainer)
    special = [(token, tokenizer.token_to_id(token)) for token in (START, END)]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}", pair=f"{START} $A $B {END}", special_tokens=special
    )
    tokenizer.enable_truncation(MAX_TOKENS)
    return tokenizer
