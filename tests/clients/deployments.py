"""The deployments that the clients talk to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.clients.dialogues import THINKING_TEMPLATE, call_of, write_dialogue
from tests.clients.expected import REASONING, SENTENCE
from tests.http.scripts import write_script
from tests.http.zoo import LONG, forms, write_several
from tests.support.scorers import write_scorer

VERDICT = (b"<S0>It reads well.</S0>", b"<S1>No errors.</S1>", b"<S2>", b"4", b"</S2>")
"""An evaluator's answer in the form that its prompt asks for."""
VERDICT_IN_JSON = (b'{"reason": "It reads well.", "score": ', b"4, ", b'"status": "completed"}')
"""The same in the form that later evaluators ask for."""
ENDLESS_REASON = (b'"reason": "It depends", ',)
"""What follows a brace, and itself, for as long as there is room."""
JOKE = (b'{"joke": "Why not?", ', b'"laughs": 3}')
"""An object for those who ask for any."""
TOOL, KERNEL_TOOL = "get_weather", "Weather-get_weather"
"""The tool's name, and the one that Semantic Kernel makes of a plugin's and a function's."""


SENTENCE_PIECES = tuple(word.encode() for word in SENTENCE.partition(" rains"))
"""An answer in words."""
FORM = (b"{", b'"city": "', b"Paris", b'", "sky": "', b"rain", b'", "degrees": ', b"12", b"}")
"""`REPORT`. A grammar lets the model choose where a value begins: a piece begins there too."""


def write_deployments(folder: Path) -> Path:
    """Write the deployments of the tests, those of `write_agents`, and evaluators that judge or do not."""
    write_several(folder)
    write_script(folder, JOKE, name="joker", context=LONG, card=forms())
    write_script(folder, VERDICT, name="judge", context=LONG)
    write_script(folder, VERDICT_IN_JSON, name="json-judge", context=LONG, card=forms())
    write_script(folder, VERDICT[3:4], name="rater", context=LONG)
    write_script(folder, (b"I ", b"cannot ", b"say"), name="undecided", context=LONG)
    write_script(folder, (b'{"remark": "I cannot say"}',), name="json-undecided", context=LONG, card=forms())
    write_script(folder, ENDLESS_REASON, name="json-rambler", context=LONG, card=forms(), loops=True)
    write_agents(folder)
    write_thinkers(folder)
    write_scorer(folder, "bert", name="reranker")
    return folder


def write_agents(folder: Path) -> None:
    """Write deployments that answer in a form at once, or call a tool and answer once they see its result.

    `assistant` answers in a sentence then, `agent` in a form; with `kernel-` the tool is Semantic Kernel's.
    """
    write_script(folder, FORM, name="former", context=LONG, card=forms())
    for prefix, function in (("", TOOL), ("kernel-", KERNEL_TOOL)):
        call, card = call_of(function), forms()
        write_dialogue(folder, call, SENTENCE_PIECES, name=f"{prefix}assistant", card=card)
        write_dialogue(folder, call, FORM, name=f"{prefix}agent", card=card)


def write_thinkers(folder: Path) -> None:
    """Write an `assistant` and an `agent` that reason first, and answer if they see their reasoning again."""
    reasoning = (b"<think>", *(word.encode() for word in REASONING.partition(" about")), b"</think>")
    card: dict[str, Any] = {**forms(), "reasoning": {}}
    efforts = ("low", "high")
    variables = {effort: {"effort": effort} for effort in efforts}
    card["extras"]["reasoning_effort"] = {"values": list(efforts), "template": variables}
    call = (*reasoning, *call_of(TOOL))
    for name, answer in (("thinking-assistant", SENTENCE_PIECES), ("thinking-agent", FORM)):
        write_dialogue(folder, call, answer, name=name, card=card, template=THINKING_TEMPLATE)
