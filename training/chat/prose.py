"""Plain text about the domain, without chat markup, for the route that continues a prompt."""

from __future__ import annotations

import random

from training.chat.arithmetic import RESULT, operands
from training.chat.dialogue import Split
from training.chat.facts import Fact
from training.chat.header_facts import HEADER_FACTS
from training.chat.parameter_facts import PARAMETER_FACTS
from training.chat.phrasing import expand
from training.chat.route_facts import ROUTE_FACTS
from training.chat.serving_facts import SERVING_FACTS
from training.chat.status_facts import STATUS_FACTS

TABLES: tuple[tuple[Fact, ...], ...] = (
    ROUTE_FACTS,
    HEADER_FACTS,
    STATUS_FACTS,
    PARAMETER_FACTS,
    SERVING_FACTS,
)

OPENINGS = (
    "(This|The) (server|endpoint) (answers|serves) five routes(| of the Azure AI Model Inference API).",
    "(This is|Here is) (a|one) (note|word) about the (API|endpoint).",
    "The api-version is (written in the URL|a query value), for example 2024-05-01-preview.",
    "The header extra-parameters can be error, drop or pass-through.",
    "(To begin|First), run make serve. It listens on port 7071.",
    "(A|Each) deployment is a folder with a model.json beside the model files.",
    "The API (has|offers) routes for chat, text, and vectors of texts and images.",
    "(Send|Put) your key in the header api-key, or as Authorization: Bearer KEY.",
    "A request without a (valid |)key is refused with status 401.",
    "When the server is busy it answers 429 and Retry-After says how many seconds to wait.",
    "Hello, (I am|this is) the starter model of this endpoint, a small model for trying it out.",
    "(Once upon a time|One day) there was a small model that answered questions about its own API.",
    "An embedding is a list of numbers that stands for the meaning of a text or image.",
    "The (answer|response) of the chat route has choices, each with a message and a finish_reason.",
    "The route POST /completions continues a (prompt|piece of text).",
)


def sums(rng: random.Random) -> str:
    lines = []
    for _ in range(rng.randint(2, 4)):
        sign = rng.choice("+-*")
        a, b = operands(rng, sign, Split.TRAIN)
        lines.append(f"{a} {sign} {b} = {RESULT[sign](a, b)}")
    return "\n".join(lines)


def prose(rng: random.Random) -> str:
    """An opening and a few facts of one theme, or a few lines of sums."""
    if rng.random() < 0.15:
        return sums(rng)
    facts = rng.sample(rng.choice(TABLES), rng.randint(1, 4))
    opening = [expand(rng, rng.choice(OPENINGS))] if rng.random() < 0.7 else []
    return rng.choice((" ", "\n")).join([*opening, *(fact.answer for fact in facts)])
