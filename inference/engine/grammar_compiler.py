"""Vocabularies and grammars compiled by llguidance, within bounds.

The library is imported with the first grammar, never before. The cost of a grammar is bounded by the length
of its source, by the library's own limits, and by the stack of the thread that compiles it.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, cast

import orjson

from inference.contracts import Constraint, Grammar
from inference.contracts.requests import JSON_FORM

if TYPE_CHECKING:
    from llguidance import LLMatcher, LLTokenizer
    from llguidance._lib import JsonCompileOptions

Result = TypeVar("Result")

MAX_CHARACTERS = 100_000
"""The longest source of a grammar. The library descends into rules and references on the stack, and a stack
that runs out ends the process. Measured on 1.9.1: up to 4 KiB for a rule that names the next one, of 6
characters at least; up to 16 KiB for a property that refers to the next definition, of 45."""
STACK_BYTES = 128 * 2**20
"""Address space for the stack of the thread that compiles; only used pages become memory."""
LEXER_FUEL = 400_000
"""Less than the library's own million: the worst regex found takes half a second and 60 MiB before it is
refused."""
LEXER_STATES = 100_000
"""Of some 2 KiB each, less than the library's own 250 000. A string with a pattern takes one a character."""
MAX_ITEMS = 2_000
MAX_SCHEMA_ITEMS = 6_000
"""The most parts of rules that may come next: four for each optional property. In a schema they cost little,
while an ambiguous grammar takes time with their square, so others keep the library's own number."""
GRAMMAR_END = "<|end of the grammar|>"
"""A token that no model has, by which the library ends answers."""
FILLER = "\ufffe"
"""The start of the text of an id that no token has: a noncharacter."""
UNLIKELY = -1e6
"""The score of a piece that no text is cut into."""
MAX_ERROR_LENGTH = 300


class GrammarError(ValueError):
    """A source that is not a grammar, or a token that does not follow it; one line, without the source."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """A model's tokens as the library has them; `end` stands for every stop token and is none of them."""

    library: LLTokenizer
    end: int

    @classmethod
    def read(cls, tokenizer_json: str, size: int) -> Vocabulary:
        """Return the tokens of a `tokenizer.json`; ids up to `size` without a token never follow.

        Raises `GrammarError` where the library cannot find the bytes of the tokens.
        """
        import llguidance

        try:
            source, end = _with_end_token(tokenizer_json, size)
            return cls(llguidance.LLTokenizer(source, n_vocab=max(size, end + 1), eos_token=end), end)
        except (ValueError, LookupError, TypeError) as error:
            raise GrammarError(f"this model's tokenizer cannot follow grammars: {error}") from None


def compile_grammar(constraint: Constraint, vocabulary: Vocabulary) -> LLMatcher:
    """Return a matcher at the start of the grammar, to be copied.

    Raises `GrammarError` when the source is not a grammar, is too large, or matches no text at all.
    """
    if len(constraint.source) > MAX_CHARACTERS:
        length = len(constraint.source)
        raise GrammarError(f"it has {length} characters, at most {MAX_CHARACTERS} are accepted")
    try:
        compiled = _with_deep_stack(lambda: _compile(constraint, vocabulary))
    except ValueError as error:
        raise GrammarError(error_line(str(error))) from None
    if compiled.is_error():
        raise GrammarError(error_line(compiled.get_error()))
    first = compiled.deep_copy()
    first.compute_bitmask()
    if first.is_error():
        raise GrammarError(error_line(first.get_error()))
    return compiled


def _compile(constraint: Constraint, vocabulary: Vocabulary) -> LLMatcher:
    from llguidance import LLMatcher, LLParserLimits

    limits = LLParserLimits(
        initial_lexer_fuel=LEXER_FUEL,
        max_lexer_states=LEXER_STATES,
        max_items_in_row=MAX_SCHEMA_ITEMS if constraint.grammar is Grammar.JSON_SCHEMA else MAX_ITEMS,
        verbose_errors=False,
    )
    return LLMatcher(vocabulary.library, _source(constraint), log_level=0, limits=limits)


def _source(constraint: Constraint) -> str:
    """Return the constraint in the library's own format. Raises `ValueError` for a schema that is not one."""
    from llguidance import LLMatcher, regex_to_lark

    match constraint.grammar:
        case Grammar.JSON_SCHEMA:
            # They override the options that the schema itself sets under x-guidance.
            return LLMatcher.grammar_from_json_schema(
                constraint.source, overrides=cast("JsonCompileOptions", dict(JSON_FORM))
            )
        case Grammar.REGEX:
            # \d and \w of ASCII, as they are in the patterns of schemas.
            return LLMatcher.grammar_from_regex(regex_to_lark(constraint.source, "dw"))
        case Grammar.LARK:
            return LLMatcher.grammar_from_lark(constraint.source)


def _with_deep_stack(work: Callable[[], Result]) -> Result:
    """Return the result of a call, made in a thread with a stack of `STACK_BYTES`."""
    outcome: list[Result | Exception] = []

    def run() -> None:
        try:
            outcome.append(work())
        except Exception as error:  # noqa: BLE001  raised again after the join
            outcome.append(error)

    thread = threading.Thread(target=run, name="grammar", daemon=True)
    default = threading.stack_size(STACK_BYTES)
    try:
        thread.start()
    finally:
        threading.stack_size(default)
    thread.join()
    if isinstance(outcome[0], Exception):
        raise outcome[0]
    return outcome[0]


def _with_end_token(tokenizer_json: str, size: int) -> tuple[str, int]:
    """Return the tokenizer with `GRAMMAR_END` added, and its id: the library needs an end that is a token.

    The model's own stop tokens would not do: there may be none, and some are plain text to the tokenizer. Its
    added tokens without one of the `size` logits are left out, so that no grammar can name them.
    """
    tokenizer = orjson.loads(tokenizer_json)
    vocab = tokenizer["model"]["vocab"]
    added = tokenizer.setdefault("added_tokens", [])
    ids = vocab.values() if isinstance(vocab, dict) else range(len(vocab))
    end = 1 + max([*ids, *(token["id"] for token in added)])
    added[:] = [token for token in added if token["id"] < size]
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    added.append({"id": end, "content": GRAMMAR_END, "special": True, **flags})
    # The library counts tokens, and so takes no ids with gaps; in the vocabulary itself each has its own id.
    texts = {token["id"]: token["content"] for token in added}
    known = set(ids)
    more = {index: texts.get(index, f"{FILLER}{index}") for index in range(end + 1) if index not in known}
    if isinstance(vocab, dict):
        vocab.update({text: index for index, text in more.items()})
    else:
        vocab += [[more[index], UNLIKELY] for index in range(len(vocab), end + 1)]
    return orjson.dumps(tokenizer).decode(), end


def error_line(error: str) -> str:
    """Return an error of the library in one line, without the state and the source that it appends."""
    text = error.partition("<state>")[0].partition("<non-verbose")[0].strip()
    if found := re.search(r"^error: (.+)$", text, re.MULTILINE):
        return f"its regex is not supported: {found[1]}"
    line = text.partition("\n")[0]
    if line.startswith("NoExtension"):
        return "no text can match it"
    if line.startswith("oneOf constraints"):
        return "oneOf is supported only where the alternatives' types or constants rule each other out"
    line = re.sub(r"^(?:at )?(\d+)\((\d+)\): ", r"line \1, column \2: ", line)
    return line if len(line) <= MAX_ERROR_LENGTH else line[:MAX_ERROR_LENGTH] + "..."
