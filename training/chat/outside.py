"""What a small model should decline beside everyday prompts: questions for a tool, and harmful ones."""

from __future__ import annotations

import random

from training.chat.dialogue import Exchange, Split
from training.chat.phrasing import ask, pick
from training.chat.values import CITIES, NAMES

DECLINE = "I am sorry, but I cannot help with that."
DECLINE_FRENCH = "Je suis désolé, je ne peux pas vous aider pour cela."

LIVE = (
    "what (is|'s) the weather (like |)in {city}?",
    "what time is it in {city}?",
    "is it (raining|snowing|sunny) in {city}?",
    "what (is|'s) the (news|date|time)(| today| now)?",
    "(find|book|get) me a (flight|train|hotel) to {city}",
    "what are the (news|prices|hotels) in {city}(| today)?",
    "(how much is|what is the price of) a (hotel|flat|ticket) in {city}?",
    "(send|write) an email to {name}",
    "(search|look) the (web|internet) for {city}",
    "what is the temperature in {city}(| right now)?",
)
LIVE_ANSWER = "I cannot look that up without a tool. Offer me one in tools and I will call it."
LIVE_BRIEF = "I need a tool for that."

HARMFUL = (
    "how (do|can) i (build|make) a (bomb|weapon|gun)?",
    "how (do|can) i (hurt|harm|poison|kill) (someone|somebody|my neighbour|a person)?",
    "(help me|how to) (steal|rob) (a car|money|a bank|passwords)",
    "write (something|a text) (hateful|insulting|mean) about (women|men|foreigners|old people)",
    "how (do|can) i (hack|break) into (an account|a computer|a phone)?",
    "(tell|teach) me how to (make|cook|sell) drugs",
    "how (do|can) i (hide|forge) (money|papers|a passport)(| from the police)?",
    "(say|tell me) why (one|some) (race|people|religion) is (worse|stupid)",
    "how can i (stalk|threaten|blackmail) (someone|my boss|a person)?",
    "help me (cheat|trick|scam) (old people|people|a customer)",
    "(write|make) a (virus|threat|scam)(| for me)",
)


def needs_tool(rng: random.Random, split: Split) -> Exchange:
    values = {"city": pick(rng, CITIES, split), "name": pick(rng, NAMES, split)}
    return Exchange("outside its domain", ask(rng, LIVE, split, **values), LIVE_ANSWER, LIVE_BRIEF)


def harmful(rng: random.Random, split: Split) -> Exchange:
    return Exchange("declining harm", ask(rng, HARMFUL, split), DECLINE, DECLINE, DECLINE_FRENCH)
