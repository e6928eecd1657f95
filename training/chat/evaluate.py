"""Asks the exported model prompts it never trained on: `python -m training.chat.evaluate`. Needs no torch.

An answer counts when it is, letter for letter, the one the generator would have taught. Held out are the
last fifth of every list of phrasings, tool names, parameter names, values and system messages, and one in
eight sums. The everyday prompts of `everyday_prompts.txt` count when the first sentence of the
answer says that the model cannot do this.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from training.chat.corpus import WORKED, dialogues
from training.chat.dialogue import Dialogue, Split, user
from training.chat.everyday import BRIEF, everyday
from training.chat.model_card import OUT_OF_REACH, model_card, score_rows
from training.chat.outside import DECLINE, LIVE_ANSWER, LIVE_BRIEF
from training.chat.recipe import DEPLOYMENT
from training.chat.runtime import Runtime
from training.chat.template import answer_text

PROMPTS = 30
SEED = 7_000_001
RECORD = "accuracy.json"
EVERYDAY_PROMPTS = Path(__file__).with_name("everyday_prompts.txt")
INABILITY = (*BRIEF, LIVE_ANSWER.partition(". ")[0] + ".", LIVE_BRIEF, DECLINE)
"""The sentences that say what the model cannot do."""


@dataclass(frozen=True, slots=True)
class Score:
    """Right answers out of those asked, on held-out prompts and on fresh prompts of trained phrasings."""

    skill: str
    held_out: tuple[int, int]
    trained: tuple[int, int]


def everyday_prompts() -> list[str]:
    """Prompts that people send to big models, none of which the generator makes."""
    return EVERYDAY_PROMPTS.read_text(encoding="utf-8").splitlines()


def admits(runtime: Runtime, prompt: str, *, show: bool = False) -> bool:
    """Whether the answer begins with a sentence that says that the model cannot do this."""
    answer = runtime.answer([user(prompt)], [])
    admitted = any(answer == sentence or answer.startswith(f"{sentence} ") for sentence in INABILITY)
    if show and not admitted:
        print(f"[{OUT_OF_REACH}] {prompt!r}\n  got    {answer!r}")
    return admitted


def out_of_reach(runtime: Runtime, asked: int, *, show: bool) -> Score:
    """Everyday prompts: those of the file, and as many that the generator makes."""
    written, rng = everyday_prompts(), random.Random(SEED)
    made = [everyday(rng, Split.TRAIN).question for _ in range(asked)]
    scores = [(sum(admits(runtime, one, show=show) for one in each), len(each)) for each in (written, made)]
    return Score(OUT_OF_REACH, *scores)


def prompts(split: Split, each: int) -> Iterator[Dialogue]:
    """`each` dialogues of every skill, as the generator happens to make them."""
    taken: Counter[str] = Counter()
    for dialogue in dialogues(SEED, split, each * 120, WORKED):
        if taken[dialogue.skill] < each:
            taken[dialogue.skill] += 1
            yield dialogue


def is_right(runtime: Runtime, dialogue: Dialogue, *, show: bool = False) -> bool:
    """Whether the model's last answer is the expected one; earlier answers are given to it."""
    *before, expected = dialogue.messages
    answer, wanted = runtime.answer(before, dialogue.tools), answer_text(expected)
    if show and answer != wanted:
        print(f"[{dialogue.skill}] {before[-1]['content']!r}\n  wanted {wanted!r}\n  got    {answer!r}")
    return answer == wanted


def count(runtime: Runtime, split: Split, each: int, *, show: bool) -> dict[str, tuple[int, int]]:
    """Right and asked by skill."""
    right: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    for dialogue in prompts(split, each):
        asked[dialogue.skill] += 1
        right[dialogue.skill] += is_right(runtime, dialogue, show=show)
    return {skill: (right[skill], asked[skill]) for skill in sorted(asked)}


def evaluate(runtime: Runtime, each: int, *, show: bool = False) -> list[Score]:
    held_out = count(runtime, Split.HELD_OUT, each, show=show)
    trained = count(runtime, Split.TRAIN, each, show=show)
    scores = [Score(skill, held_out[skill], trained[skill]) for skill in held_out]
    return [*scores, out_of_reach(runtime, each, show=show)]


def write_record(folder: Path, record: list[dict[str, Any]]) -> None:
    """The scores as JSON, and the deployment's README around them."""
    size = (folder / "model.onnx").stat().st_size
    (folder / RECORD).write_text(json.dumps(record) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(model_card(record, size), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=DEPLOYMENT)
    parser.add_argument("--each", type=int, default=PROMPTS, help="prompts for every skill")
    parser.add_argument("--show", action="store_true", help="print every wrong answer")
    chosen = parser.parse_args()
    scores = evaluate(Runtime(chosen.folder), chosen.each, show=chosen.show)
    record = [asdict(score) for score in scores]
    print("\n".join(score_rows(record)))
    write_record(chosen.folder, record)


if __name__ == "__main__":
    main()
