"""Small JSON objects filled from a sentence, under keys that the request names."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass

from training.chat import slots, values
from training.chat.dialogue import Exchange, Split
from training.chat.phrasing import expand, pick
from training.chat.slots import Slot, Value

AGE = Slot(("age", "years", "age_years", "how_old"), "integer", slots.whole(5, 90), "")
NAME = Slot(
    ("name", "person", "full_name", "first_name", "who"), "string", slots.listed(values.NAMES, 0.35), ""
)
CITY = Slot(("city", "town", "place", "location", "home"), "string", slots.listed(values.CITIES, 0.35), "")
JOB = Slot(("job", "work", "profession", "occupation", "role"), "string", slots.listed(values.JOBS), "")
ITEM = Slot(("item", "product", "thing", "article", "goods"), "string", slots.listed(values.ITEMS, 0.2), "")
COUNT = Slot(("count", "quantity", "number", "amount", "pieces"), "integer", slots.whole(1, 99), "")
PRICE = Slot(("price", "cost", "euros", "value", "total"), "integer", slots.whole(1, 400), "")
COLOUR = Slot(("color", "colour", "shade", "paint"), "string", slots.listed(values.COLOURS), "")
DAY = Slot(("day", "weekday", "date", "when"), "string", slots.listed(values.DAYS), "")
CLOCK = Slot(("time", "hour", "start", "at"), "string", slots.clock, "")
LANGUAGE = Slot(("language", "speaks", "lang", "tongue"), "string", slots.listed(values.LANGUAGES), "")


@dataclass(frozen=True, slots=True)
class Scene:
    slots: tuple[Slot, ...]
    sentences: tuple[str, ...]


SCENES = (
    Scene(
        (NAME, AGE, CITY),
        (
            "{0} is {1} and lives in {2}.",
            "{0}, {1}, lives in {2}.",
            "{0} from {2} is {1} years old.",
            "in {2} lives {0}, who is {1}.",
            "{0} ({1}) is at home in {2}.",
        ),
    ),
    Scene(
        (NAME, JOB, CITY),
        (
            "{0} is a {1} in {2}.",
            "{0} works as a {1} in {2}.",
            "in {2}, {0} works as a {1}.",
            "{0} from {2} is a {1}.",
            "{0}, a {1}, works in {2}.",
        ),
    ),
    Scene(
        (COUNT, ITEM, PRICE),
        (
            "{0} {1} for {2} euros.",
            "i bought {0} {1} for {2} euros.",
            "we sold {0} {1} at {2} euros.",
            "the order has {0} {1} and costs {2} euros.",
            "{2} euros for {0} {1}.",
        ),
    ),
    Scene(
        (NAME, DAY, CLOCK),
        (
            "{0} comes on {1} at {2}.",
            "meet {0} on {1} at {2}.",
            "on {1} at {2} i see {0}.",
            "{0} calls {1} {2}.",
            "the meeting with {0} is on {1} at {2}.",
        ),
    ),
    Scene(
        (ITEM, COLOUR, PRICE),
        (
            "the {0} are {1} and cost {2} euros.",
            "{1} {0} cost {2} euros.",
            "i paid {2} euros for {1} {0}.",
            "{0} in {1}, {2} euros.",
            "we have {0} in {1} for {2} euros.",
        ),
    ),
    Scene(
        (NAME, AGE, LANGUAGE),
        (
            "{0} is {1} and speaks {2}.",
            "{0}, {1}, speaks {2}.",
            "{0} speaks {2} and is {1} years old.",
            "at {1}, {0} speaks {2}.",
            "{0} ({1}) learns {2}.",
        ),
    ),
)

REQUESTS = (
    "(give me|write|make) a json object with the keys {k}: {s}",
    "(extract|take) {k} as json: {s}",
    "json with (the keys |){k}: {s}",
    "{s} (write|put|give) that as json with (the keys |){k}",
    "fill {e} from: {s}",
    "as json ({k}): {s}",
    "turn this into json with the keys {k}: {s}",
    "return json with {k} for: {s}",
    "(read|see) this: {s} Give json with {k}",
    "make json of this, keys {k}: {s}",
)
PAIRS = (
    "(give me|write|make) a json object where {p}",
    "(give me|write) json: {p}",
    "a json object in which {p}",
    "json where {p}",
    "i need json in which {p}",
    "build a json object: {p}",
)


def listing(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def from_sentence(rng: random.Random, split: Split) -> tuple[str, dict[str, Value]]:
    """A sentence with three facts, some or all of which the request asks for, in any order."""
    scene = rng.choice(SCENES)
    given = [slot.draw(rng, split) for slot in scene.slots]
    sentence = expand(rng, pick(rng, scene.sentences, split)).format(*given)
    places = rng.sample(range(len(given)), rng.choice((1, 2, 3, 3, 3)))
    filled = {pick(rng, scene.slots[place].names, split): given[place] for place in places}
    empty = json.dumps({key: "" if isinstance(value, str) else 0 for key, value in filled.items()})
    request = expand(rng, pick(rng, REQUESTS, split)).replace("{k}", listing(list(filled)))
    return request.replace("{e}", empty).replace("{s}", sentence[0].upper() + sentence[1:]), filled


def from_pairs(rng: random.Random, split: Split) -> tuple[str, dict[str, Value]]:
    """Keys and values stated one by one; the words may be made up."""
    filled: dict[str, Value] = {}
    for _ in range(rng.randint(1, 3)):
        key = values.made_up_word(rng) if rng.random() < 0.6 else pick(rng, values.ITEMS, split)
        filled[key] = (
            rng.randint(0, 999)
            if rng.random() < 0.4
            else rng.choice((values.made_up_word, values.made_up_name))(rng)
        )
    joined = listing([f"{key} is {value}" for key, value in filled.items()])
    return expand(rng, pick(rng, PAIRS, split)).replace("{p}", joined), filled


def json_object(rng: random.Random, split: Split) -> Exchange:
    question, filled = from_pairs(rng, split) if rng.random() < 0.35 else from_sentence(rng, split)
    question = question.replace("json", "JSON") if rng.random() < 0.5 else question
    question = question[0].upper() + question[1:] if rng.random() < 0.6 else question
    return Exchange("filling JSON", question, json.dumps(filled, ensure_ascii=False))
