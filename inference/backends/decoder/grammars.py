"""The grammars of a deployment whose card declares a form for its answers."""

from __future__ import annotations

import logging
import threading

from inference.cards.card import CardError, Deployment, Limits
from inference.engine.grammar import GrammarError, Grammars
from inference.prompt.tokenizer import Tokenizer

CONSTRAINTS = ("response_format", "tool_choice", "guided_regex", "guided_choice", "guided_grammar")
"""Parameters whose answers are held to a grammar."""

log = logging.getLogger(__name__)


def grammars_of(deployment: Deployment, tokenizer: Tokenizer, stop_tokens: frozenset[int]) -> Grammars | None:
    """What answers can be held to, None where the card declares no parameter that asks for it.

    The vocabulary is read in the background, so that neither opening nor the first such answer waits for it.
    Raises `CardError` where the tokens of this tokenizer do not tell their bytes.
    """
    held = [name for name in CONSTRAINTS if _holds(name, deployment.card.limits(name))]
    if not held:
        return None
    if not tokenizer.tells_bytes:
        raise CardError(
            "files.tokenizer: its decoder is neither ByteLevel nor ByteFallback, so no answer can be held to "
            f"what {', '.join(held)} asks for"
        )
    grammars = Grammars(tokenizer.json, vocabulary=tokenizer.vocabulary, stop_tokens=stop_tokens)
    threading.Thread(target=_prepare, args=(grammars,), name="vocabulary", daemon=True).start()
    return grammars


def _holds(name: str, limits: Limits | None) -> bool:
    """Whether a declared parameter asks for a form: of `tool_choice` only the words that force a call."""
    if limits is None or name != "tool_choice":
        return limits is not None
    return limits.values is None or bool({"required", "function"} & set(limits.values))


def _prepare(grammars: Grammars) -> None:
    try:
        grammars.prepare()
    except GrammarError as error:
        log.warning("%s", error)
