"""The training text and the held-out prompts: which conversations, how often, in which mix."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial

from training.chat import conversations, tool_dialogues
from training.chat.arithmetic import arithmetic, several_sums
from training.chat.conversations import with_system
from training.chat.dialogue import Dialogue, Exchange, Split
from training.chat.small_talk import small_talk
from training.chat.strange_words import strange
from training.chat.themes import OUTSIDE, facts, one_of, spoken_words, themes_with, wide_themes
from training.chat.tool_dialogues import parallel_call, tool_answer, tool_call
from training.chat.worked_sums import several_worked_sums, worked_sum

Maker = Callable[[random.Random, Split], Dialogue]
Makers = tuple[tuple[float, Maker], ...]


@dataclass(frozen=True, slots=True)
class Mix:
    """The shares of dialogues that drill what is hard, and whether sums are answered with their working.

    `practice` drills what takes practice, `broad` copies words made of the facts' words, `wide` copies words
    made of any words and has loosely worded questions, `outside` asks for what the model cannot do.
    """

    practice: float = 0.0
    broad: float = 0.0
    worked: bool = False
    wide: float = 0.0
    outside: float = 0.0


EVERYDAY = Mix()
WORKED = Mix(worked=True)
"""What the finished model is asked and how it answers."""


@dataclass(frozen=True, slots=True)
class Kinds:
    everyday: Makers
    practice: Makers
    broad: Makers
    wide: Makers
    outside: Makers


@cache
def kinds(worked: bool) -> Kinds:
    """Weighted makers of each kind of dialogue."""
    sums = (worked_sum, several_worked_sums) if worked else (arithmetic, several_sums)
    themes, wide_drills = themes_with(*sums), wide_themes(*sums)
    plain, styled = partial(conversations.plain, themes), partial(conversations.styled, themes)
    without_call = partial(conversations.without_call, themes)
    answered, called = partial(with_system, tool_answer), partial(with_system, tool_call)
    return Kinds(
        everyday=(
            (10.0, plain),
            (5.0, styled),
            (4.0, called),
            (3.5, answered),
            (0.7, partial(with_system, parallel_call)),
            (1.5, partial(with_system, without_call)),
        ),
        practice=(
            (5.0, partial(conversations.drill, themes.drills, 4)),
            (2.0, styled),
            (2.0, answered),
        ),
        broad=(
            (4.0, partial(conversations.drill, themes.broad, 3)),
            (1.5, styled),
            (3.0, strange(answered)),
            (1.0, strange(called)),
            (0.5, strange(parallel_call)),
        ),
        wide=(
            (5.0, partial(conversations.drill, wide_drills, 3)),
            (2.5, styled),
            (3.0, strange(answered, spoken_words)),
            (2.0, strange(called, spoken_words)),
            (0.5, strange(parallel_call, spoken_words)),
            (1.5, partial(with_system, without_call)),
        ),
        outside=(
            (6.0, partial(with_system, partial(conversations.drill, OUTSIDE, 1))),
            (2.0, partial(conversations.drill, (*OUTSIDE, (3.0, facts), (2.0, small_talk)), 3)),
            (1.0, partial(with_system, partial(tool_dialogues.no_call, other=beyond))),
            (1.0, partial(conversations.drill, wide_drills, 1)),
            (1.5, partial(conversations.drill, ((3.0, facts), (2.0, small_talk)), 1)),
        ),
    )


def beyond(rng: random.Random, split: Split) -> Exchange:
    """Something that is beyond the model."""
    return one_of(rng, OUTSIDE)(rng, split)


def dialogue(rng: random.Random, split: Split, mix: Mix) -> Dialogue:
    known = kinds(mix.worked)
    makers = known.everyday
    if mix.practice and rng.random() < mix.practice:
        makers = known.practice
    if mix.broad and rng.random() < mix.broad:
        makers = known.broad
    if mix.wide and rng.random() < mix.wide:
        makers = known.wide
    if mix.outside and rng.random() < mix.outside:
        makers = known.outside
    make = rng.choices([make for _, make in makers], weights=[weight for weight, _ in makers])[0]
    return make(rng, split)


def dialogues(seed: int, split: Split, count: int, mix: Mix) -> Iterator[Dialogue]:
    """The same seed gives the same dialogues."""
    rng = random.Random(f"{seed} {split.value}")
    for _ in range(count):
        yield dialogue(rng, split, mix)
