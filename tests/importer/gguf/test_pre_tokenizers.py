import pytest
from tokenizers import Regex, pre_tokenizers

from inference.importer.findings import ImporterError
from inference.importer.gguf.pre_tokenizers import PRE_TOKENIZERS, pre_tokenizer

TEXT = "I'LL pay 12345$, GPTmodel  \n\n ok"
PIECES = {
    "default": ["I", "'", "LL", " pay", " ", "123", "45", "$,", " GPTmodel", "  \n\n", " ok"],
    "gpt-2": ["I", "'", "LL", " pay", " 12345", "$,", " GPTmodel", "  \n\n", " ok"],
    "smollm": ["I", "'", "LL", " pay", " ", *"12345", "$,", " GPTmodel", "  \n\n", " ok"],
    "llama-bpe": ["I", "'LL", " pay", " ", "123", "45", "$,", " GPTmodel", "  \n\n", " ok"],
    "qwen2": ["I", "'LL", " pay", " ", *"12345", "$,", " GPTmodel", "  \n\n", " ok"],
    "tekken": ["I", "'LL", " pay", " ", *"12345", "$,", " GPTmodel", "  \n\n", " ok"],
    "gpt-4o": ["I'LL", " pay", " ", "123", "45", "$,", " GPTmodel", "  \n\n", " ok"],
    "deepseek-v3": ["I", "'LL", " pay", " ", "123", "45", "$,", " GPTmodel", "  \n\n", " ok"],
    "deepseek-coder": ["I", "'", "LL", " pay", " ", *"12345", "$", ",", " GPTmodel", "  ", "\n", "\n", " ok"],
    "deepseek-llm": ["I", "'", "LL", " pay", " ", "12345", "$,", " GPTmodel", "  ", "\n", "\n", " ok"],
    "falcon": ["I", "'", "LL", " pay", " ", "123", "45", "$,", " GPTmodel", "  \n\n", " ok"],
    "bailingmoe": ["I", "'LL", " pay", " ", *"12345", "$,", " GPTmodel", "  \n\n", " ok"],
    "viking": ["I'LL", " pay", " ", *"12345", "$", ",", " GPTmodel", "  \n\n", " ok"],
}


def pieces(name: str, text: str) -> list[str]:
    found = [text]
    for pattern in pre_tokenizer(name).patterns:
        split = pre_tokenizers.Split(Regex(pattern), "isolated")
        found = [piece for part in found for piece, _ in split.pre_tokenize_str(part)]
    return found


@pytest.mark.parametrize(("name", "expected"), PIECES.items())
def test_each_kind_of_rules_has_its_pieces(name: str, expected: list[str]) -> None:
    assert pieces(name, TEXT) == expected


@pytest.mark.parametrize("name", sorted(PRE_TOKENIZERS))
def test_the_pieces_of_every_name_are_the_text(name: str) -> None:
    text = "Grüße, \u4f60\u597d! 3\u00bd x\u0301 \U0001f469\u200d\U0001f680\t\r\n  end "
    assert "".join(pieces(name, text)) == text


def test_a_word_is_cut_where_its_case_changes() -> None:
    assert pieces("tekken", "camelCase HTTPServer \u00c9t\u00c9t\u00e9") == [
        *("camel", "Case", " HTTPServer", " \u00c9t", "\u00c9t\u00e9")
    ]


def test_no_name_is_the_default() -> None:
    assert pre_tokenizer(None) is pre_tokenizer("") is PRE_TOKENIZERS["default"]


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ImporterError, match=r"'klingon'\). Supported are .*llama-bpe, .*qwen2"):
        pre_tokenizer("klingon")
