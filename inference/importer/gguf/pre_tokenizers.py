"""How byte-level BPE splits a text into words before it merges: a table by `tokenizer.ggml.pre`.

The patterns are those of the tokenizers that the models were trained with. llama.cpp approximates two of
them by ASCII letters, those with upper and lower case (gpt-4o, tekken), and leaves out the composed form
(NFC) that some expect; ids follow the original there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from inference.importer.findings import ImporterError


@dataclass(frozen=True, slots=True)
class PreTokenizer:
    """Patterns in the syntax of Oniguruma, each applied to the pieces that the one before left."""

    patterns: tuple[str, ...]
    ignores_merges: bool = False
    """True where a word that is a token as a whole is not merged from its parts."""
    adds_bos: bool = False
    """True where a text begins with BOS unless the file says otherwise."""
    composes: bool = False
    """True where the original brings a text into its composed form, NFC."""


CONTRACTIONS = r"'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]"
SPACES = r"\s*[\r\n]+|\s+(?!\S)|\s+"
SYMBOLS = r" ?[^\s\p{L}\p{N}]+[\r\n]*"
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
ASCII_SIGNS = r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]"
KANA = r"[\x{4E00}-\x{9FA5}\x{3040}-\x{309F}\x{30A0}-\x{30FF}]+"
HAN = r"[\x{4E00}-\x{9FA5}\x{0800}-\x{4E00}\x{AC00}-\x{D7FF}]+"
CLAUSES = r" ?[^(\s|.,!?\x{2026}\x{3002}\x{FF0C}\x{3001}\x{0964}\x{06D4}\x{060C})]+"
DEEPSEEK_SIGNS = r"\s?[!-/:-~\x{FF01}-\x{FF0F}\x{FF1A}-\x{FF5E}\x{2018}-\x{201F}\x{3000}-\x{3002}]+"
CASED = (
    r"A-Za-z\x{00B5}\x{00C0}-\x{00D6}\x{00D8}-\x{00F6}\x{00F8}-\x{01BA}\x{01BC}-\x{01BF}"
    r"\x{01C4}-\x{0293}\x{0295}-\x{02AF}\x{0370}-\x{0373}\x{0376}\x{0377}\x{037B}-\x{037D}\x{037F}"
    r"\x{0386}\x{0388}-\x{038A}\x{038C}\x{038E}-\x{03A1}\x{03A3}-\x{03F5}\x{03F7}-\x{0481}"
    r"\x{048A}-\x{052F}\x{0531}-\x{0556}\x{10A0}-\x{10C5}\x{13A0}-\x{13F5}\x{13F8}-\x{13FD}"
    r"\x{1C90}-\x{1CBA}\x{1CBD}-\x{1CBF}\x{1D00}-\x{1D2B}\x{1D6B}-\x{1D77}\x{1D79}-\x{1D9A}"
    r"\x{1E00}-\x{1F15}\x{1F18}-\x{1F1D}\x{1F20}-\x{1F45}\x{1F48}-\x{1F4D}\x{1F50}-\x{1F57}\x{1F59}"
    r"\x{1F5B}\x{1F5D}\x{1F5F}-\x{1F7D}\x{1F80}-\x{1FB4}\x{1FB6}-\x{1FBC}\x{1FBE}\x{1FC2}-\x{1FC4}"
    r"\x{1FC6}-\x{1FCC}\x{1FD0}-\x{1FD3}\x{1FD6}-\x{1FDB}\x{1FE0}-\x{1FEC}\x{1FF2}-\x{1FF4}"
    r"\x{1FF6}-\x{1FFC}\x{2102}\x{2107}\x{210A}-\x{2113}\x{2115}\x{2119}-\x{211D}\x{2124}\x{2126}"
    r"\x{2128}\x{212A}-\x{212D}\x{212F}-\x{2134}\x{2139}\x{213C}-\x{213F}\x{2145}-\x{2149}\x{214E}"
    r"\x{2183}\x{2184}\x{2C00}-\x{2C7B}\x{2C7E}-\x{2CE4}\x{2CEB}-\x{2CEE}\x{2CF2}\x{2CF3}"
    r"\x{A640}-\x{A66D}\x{A680}-\x{A69B}\x{A722}-\x{A76F}\x{A771}-\x{A787}\x{A78B}-\x{A78E}"
    r"\x{AB70}-\x{ABBF}\x{FB00}-\x{FB06}\x{FB13}-\x{FB17}\x{FF21}-\x{FF3A}\x{FF41}-\x{FF5A}"
    r"\x{10400}-\x{1044F}\x{104B0}-\x{104D3}\x{104D8}-\x{104FB}\x{10C80}-\x{10CB2}\x{10CC0}-\x{10CF2}"
    r"\x{118A0}-\x{118DF}\x{1E900}-\x{1E943}"
)
"""Letters with a case, as an older Unicode lists them."""


def _words(digits: str, *, letters: str = r"\p{L}", signs: str = SYMBOLS, spaces: str = SPACES) -> str:
    """Return the pattern of GPT-4's kind: contractions, words with the sign before them, digits, signs."""
    return rf"(?:{CONTRACTIONS})|[^\r\n\p{{L}}\p{{N}}]?{letters}+|{digits}|{signs}|{spaces}"


def _cased(digits: str, *, contractions: str = "") -> str:
    """Return the pattern that cuts a word where its case changes."""
    head, tail = r"[^\r\n\p{L}\p{N}]?", f"(?:{contractions})?" if contractions else ""
    words = f"{head}{UPPER}*{LOWER}+{tail}|{head}{UPPER}+{LOWER}*{tail}"
    return rf"{words}|{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{SPACES}"


def _deepseek(line_ends: str) -> tuple[str, ...]:
    words = rf"{ASCII_SIGNS}[A-Za-z]+|[^\r\n\p{{L}}\p{{P}}\p{{S}}]?[\p{{L}}\p{{M}}]+"
    return (r"\p{N}{1,3}", KANA, rf"{words}| ?[\p{{P}}\p{{S}}]+{line_ends}|\s+(?!\S)|\s+")


_DEFAULT = PreTokenizer((r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]"))
_GPT2 = PreTokenizer((GPT2,))
_DIGITS = PreTokenizer((r"\p{N}", GPT2))
_LLAMA3 = PreTokenizer((_words(r"\p{N}{1,3}"),))
_LLAMA3_WHOLE = replace(_LLAMA3, ignores_merges=True)
_LLAMA3_BOS = replace(_LLAMA3_WHOLE, adds_bos=True)
_QWEN2 = PreTokenizer((_words(r"\p{N}"),))
_QWEN35 = PreTokenizer((_words(r"\p{N}", letters=r"[\p{L}\p{M}]", signs=r" ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*"),))
_BAILING = PreTokenizer((_words(r"\p{N}", spaces=r"\s*[\r\n]|\s+(?!\S)|\s+"),))
_GPT_4O = PreTokenizer((_cased(r"\p{N}{1,3}", contractions=CONTRACTIONS),))
_TEKKEN = PreTokenizer((_cased(r"\p{N}"),), ignores_merges=True, adds_bos=True)
_DEEPSEEK_3 = PreTokenizer(_deepseek(r"[\r\n]*|\s*[\r\n]+"))
_DEEPSEEK_CODER = PreTokenizer((r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", HAN, r"\p{N}"))
_DEEPSEEK_LLM = PreTokenizer(
    (r"[\r\n]", rf"\s?[{CASED}]+", DEEPSEEK_SIGNS, r"\s+$", HAN, r"\p{N}+"),
)
_FALCON = PreTokenizer((r"[\p{P}\$\+<=>\^~\|`]+", GPT2, "[0-9][0-9][0-9]"))
_SEED = PreTokenizer((_words(r"\p{N}", signs=r" ?[^\s\p{L}\p{N}\r\n]+"),))

_ROWS: Mapping[PreTokenizer, str] = {
    _DEFAULT: "default",
    _GPT2: "gpt-2 phi-2 mpt jais trillion granite-docling jina-es jina-de jina-v2-es jina-v2-de jina-v1-en "
    "jina-v2-code roberta-bpe gigachat a.x-4.0 mellum modern-bert exaone4",
    replace(_GPT2, composes=True): "olmo",
    _DIGITS: "smollm starcoder refact command-r codeshell exaone minerva-7b mellum2",
    _LLAMA3: "dbrx smaug-bpe chatglm-bpe",
    _LLAMA3_WHOLE: "glm4 glm5",
    _LLAMA3_BOS: "llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano",
    _QWEN2: "deepseek-r1-qwen kormo f2llmv2 megrez hunyuan solar-open grok-2",
    replace(_QWEN2, composes=True): "qwen2 stablelm2",
    _QWEN35: "qwen35",
    _BAILING: "bailingmoe bailingmoe2 llada-moe",
    _SEED: "seed-coder",
    _GPT_4O: "gpt-4o llama4 kanana2 talkie minimax-m2",
    _TEKKEN: "tekken",
    _DEEPSEEK_3: "deepseek-v3 hunyuan-dense joyai-llm hy_v4",
    _DEEPSEEK_CODER: "deepseek-coder",
    _DEEPSEEK_LLM: "deepseek-llm",
    _FALCON: "falcon",
    PreTokenizer((CLAUSES,)): "poro-chat bloom gpt3-finnish",
    PreTokenizer((CLAUSES, r"\p{N}")): "viking",
}
PRE_TOKENIZERS: Mapping[str, PreTokenizer] = {
    name: row for row, names in _ROWS.items() for name in names.split()
}
"""Pre-tokenizers by the name that llama.cpp's converter gives them."""
SEPARATED = frozenset(("jina-v1-en", "jina-v2-code", "roberta-bpe"))
"""Names of tokenizers that end a text with the separator, as BERT does."""


def pre_tokenizer(name: str | None) -> PreTokenizer:
    """Return the pre-tokenizer of a name; the default where a file names none, as in llama.cpp.

    Raises `ImporterError` for an unknown name: another split gives other ids than the model was trained with.
    """
    found = PRE_TOKENIZERS.get(name or "default")
    if found is None:
        raise ImporterError(
            f"The tokenizer splits texts by rules that are not supported (tokenizer.ggml.pre is "
            f"{str(name)[:80]!r}). Supported are {', '.join(sorted(PRE_TOKENIZERS))}."
        )
    return found
