"""What is asked of llguidance: to read a vocabulary, and to compile a grammar within bounds.

The library is imported with the first grammar, never before. What a grammar costs is bounded by the length of
its source, by the library's own limits, and by the stack of the thread that compiles it.
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

MOST_CHARACTERS = 100_000
"""Of a grammar's source. The library descends into rules and references on the stack, and a stack that runs
out ends the process. Measured on 1.9.1: up to 4 KiB for a rule that names the next one, of 6 characters at
least; up to 16 KiB for a property that refers to the next definition, of 45."""
STACK = 128 * 2**20
"""Bytes of address space for the thread that compiles; only what is used becomes memory."""
LEXER_FUEL = 400_000
"""Less than the library's own million: the worst regex found takes half a second and 60 MiB until it is given
up."""
LEXER_STATES = 100_000
"""Of some 2 KiB each, less than the library's own 250 000. A string of a pattern takes one a character."""
ITEMS = 2_000
ITEMS_OF_SCHEMAS = 6_000
"""What may come next, in parts of rules: four for each optional property. Of a schema they cost little, while
an ambiguous grammar takes time with their square, so others keep the library's own number."""
END = "<|end of the grammar|>"
"""A token that no model has: the library is told that it ends answers."""
LONGEST_SENTENCE = 300


class GrammarError(ValueError):
    """There is no such grammar, or a token does not follow it; the message is one line without its source."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """A model's tokens as the library knows them; `end` stands for every stop token and is none of them."""

    library: LLTokenizer
    end: int

    @classmethod
    def read(cls, tokenizer_json: str, size: int) -> Vocabulary:
        """The tokens of a `tokenizer.json`; ids up to `size` without a token never follow.

        Raises `GrammarError` where the library cannot tell which bytes the tokens stand for.
        """
        import llguidance

        try:
            source, end = _with_end(tokenizer_json)
            return cls(llguidance.LLTokenizer(source, n_vocab=max(size, end + 1), eos_token=end), end)
        except (ValueError, LookupError, TypeError) as error:
            raise GrammarError(f"this model's tokenizer cannot be held to grammars: {error}") from None


def compile_grammar(constraint: Constraint, vocabulary: Vocabulary) -> LLMatcher:
    """A matcher at the begin of the grammar, to be copied.

    Raises `GrammarError` when the source is no grammar, is too large, or matches no text at all.
    """
    if len(constraint.source) > MOST_CHARACTERS:
        raise GrammarError(f"it has {len(constraint.source)} characters, at most {MOST_CHARACTERS} are taken")
    try:
        made = _on_a_deep_stack(lambda: _compile(constraint, vocabulary))
    except ValueError as error:
        raise GrammarError(sentence(str(error))) from None
    if made.is_error():
        raise GrammarError(sentence(made.get_error()))
    begin = made.deep_copy()
    begin.compute_bitmask()
    if begin.is_error():
        raise GrammarError(sentence(begin.get_error()))
    return made


def _compile(constraint: Constraint, vocabulary: Vocabulary) -> LLMatcher:
    from llguidance import LLMatcher, LLParserLimits

    limits = LLParserLimits(
        initial_lexer_fuel=LEXER_FUEL,
        max_lexer_states=LEXER_STATES,
        max_items_in_row=ITEMS_OF_SCHEMAS if constraint.grammar is Grammar.JSON_SCHEMA else ITEMS,
        verbose_errors=False,
    )
    return LLMatcher(vocabulary.library, _grammar(constraint), log_level=0, limits=limits)


def _grammar(constraint: Constraint) -> str:
    """The constraint in the library's own form. Raises `ValueError` where a schema is no JSON object."""
    from llguidance import LLMatcher, regex_to_lark

    match constraint.grammar:
        case Grammar.JSON_SCHEMA:
            # Options that the schema itself asks for, under x-guidance, yield to these.
            return LLMatcher.grammar_from_json_schema(
                constraint.source, overrides=cast("JsonCompileOptions", dict(JSON_FORM))
            )
        case Grammar.REGEX:
            # \d and \w of ASCII, as they are in the patterns of schemas.
            return LLMatcher.grammar_from_regex(regex_to_lark(constraint.source, "dw"))
        case Grammar.LARK:
            return LLMatcher.grammar_from_lark(constraint.source)


def _on_a_deep_stack(work: Callable[[], Result]) -> Result:
    outcome: list[Result | Exception] = []

    def run() -> None:
        try:
            outcome.append(work())
        except Exception as error:  # noqa: BLE001  raised again where it is waited for
            outcome.append(error)

    thread = threading.Thread(target=run, name="grammar", daemon=True)
    usual = threading.stack_size(STACK)
    try:
        thread.start()
    finally:
        threading.stack_size(usual)
    thread.join()
    if isinstance(outcome[0], Exception):
        raise outcome[0]
    return outcome[0]


def _with_end(tokenizer_json: str) -> tuple[str, int]:
    """The tokenizer with `END` added, and its id: the library wants an end that is a token.

    The model's own stop tokens would not do: there may be none, and some are plain text to the tokenizer.
    """
    tokenizer = orjson.loads(tokenizer_json)
    known = tokenizer["model"]["vocab"]
    ids = known.values() if isinstance(known, dict) else range(len(known))
    added = tokenizer.setdefault("added_tokens", [])
    end = 1 + max([*ids, *(token["id"] for token in added)])
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    added.append({"id": end, "content": END, "special": True, **flags})
    return orjson.dumps(tokenizer).decode(), end


def sentence(error: str) -> str:
    """What the library says, in one line and without the state and the source that it adds."""
    text = error.partition("<state>")[0].partition("<non-verbose")[0].strip()
    if found := re.search(r"^error: (.+)$", text, re.MULTILINE):
        return f"its regex is not taken: {found[1]}"
    line = text.partition("\n")[0]
    if line.startswith("NoExtension"):
        return "no text can match it"
    if line.startswith("oneOf constraints"):
        return "oneOf is taken only where the alternatives' types or constants rule each other out"
    line = re.sub(r"^(?:at )?(\d+)\((\d+)\): ", r"line \1, column \2: ", line)
    return line if len(line) <= LONGEST_SENTENCE else line[:LONGEST_SENTENCE] + "..."
