"""Probes write their texts in the words of the model's own vocabulary."""

from pathlib import Path

import pytest
from tokenizers import Tokenizer as Library
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors

from inference.conformance.check import probe_deployment
from inference.conformance.probe_texts import QUESTION, WORDS, ProbeTexts
from inference.prompt.tokenizer import Tokenizer
from inference.settings import Settings
from tests.support.decoders import byte_tokenizer
from tests.support.encoders import DIMENSIONS, write_text_encoder

VOCABULARIES = {
    "amino acids": "LAGVSERTIDPKQNFYMHWCXBUZO",
    "Cyrillic": ("вода", "море", "##м", "ж", "и"),
    "Chinese": "我你他海水",
}


def word_pieces(words: str | tuple[str, ...]) -> Library:
    """Write BERT's tokenizer of a few pieces, none of them a byte; other texts are `[UNK]`."""
    special = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
    vocabulary = {text: index for index, text in enumerate((*special, *words))}
    library = Library(models.WordPiece(vocabulary, unk_token="[UNK]"))
    library.normalizer = normalizers.BertNormalizer(lowercase=False)
    library.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    library.decoder = decoders.WordPiece()
    library.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    library.add_special_tokens(list(special))
    return library


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (VOCABULARIES["amino acids"], ("L", "A")),
        (VOCABULARIES["Cyrillic"], ("вода", "море")),
        (VOCABULARIES["Chinese"], ("我", "你")),
    ],
    ids=list(VOCABULARIES),
)
async def test_other_scripts_give_words_of_their_own_and_pass_the_probes(
    tmp_path: Path, words: str | tuple[str, ...], expected: tuple[str, str]
) -> None:
    library = word_pieces(words)
    assert ProbeTexts.known_to(Tokenizer(library)).words == expected
    card = {
        "extras": {"truncate": {}},
        "embedding": {"dimensions": DIMENSIONS, "prompts": {"query": f"{expected[0]} "}},
    }
    folder = write_text_encoder(tmp_path, name="other", card=card)
    library.save(str(folder / "tokenizer.json"))
    found = [result async for result in probe_deployment("other", Settings(models=(tmp_path,)))]
    assert [result for result in found if result.problem] == []
    assert {"", "truncate", "input_type"} <= {result.parameter for result in found}


async def test_prompts_that_the_vocabulary_cannot_distinguish_are_not_probed(tmp_path: Path) -> None:
    prompts = {"query": "query: ", "document": "passage: "}
    folder = write_text_encoder(
        tmp_path, name="other", card={"embedding": {"dimensions": DIMENSIONS, "prompts": prompts}}
    )
    word_pieces("LAGV").save(str(folder / "tokenizer.json"))
    found = [result async for result in probe_deployment("other", Settings(models=(tmp_path,)))]
    assert [result for result in found if result.problem] == []


def test_vocabularies_that_know_the_usual_words_get_them() -> None:
    texts = ProbeTexts.known_to(Tokenizer(byte_tokenizer()))
    assert (texts.question, texts.words, texts.token_ids) == (QUESTION, WORDS, (40, 50))


def test_a_vocabulary_without_two_words_keeps_the_usual_ones_unknown() -> None:
    texts = ProbeTexts.known_to(Tokenizer(word_pieces("L")))
    assert (texts.words, texts.known) == (WORDS, False)
