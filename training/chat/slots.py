"""What a tool's parameters are about: their names, their types and the values people give them."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from training.chat import values
from training.chat.dialogue import Split
from training.chat.phrasing import pick

Value = str | int
Draw = Callable[[random.Random, Split], Value]


@dataclass(frozen=True, slots=True)
class Slot:
    """One parameter in many names; `kind` is the JSON type its schema states."""

    names: tuple[str, ...]
    kind: str
    draw: Draw
    meaning: str


def listed(options: tuple[str, ...], invented: float = 0.0) -> Draw:
    """A listed value, or with the chance `invented` a made-up name, which only copying can get right."""

    def draw(rng: random.Random, split: Split) -> Value:
        return values.made_up_name(rng) if rng.random() < invented else pick(rng, options, split)

    return draw


def whole(least: int, most: int) -> Draw:
    return lambda rng, _: rng.randint(least, most)


def words(least: int, most: int) -> Draw:
    """A few words to search for or to send."""

    def draw(rng: random.Random, split: Split) -> Value:
        pools = (values.TOPICS, values.ITEMS, values.COLOURS)
        count = rng.randint(least, most)
        return " ".join(
            values.made_up_word(rng) if rng.random() < 0.4 else pick(rng, rng.choice(pools), split)
            for _ in range(count)
        )

    return draw


def code(rng: random.Random, _: Split) -> Value:
    return values.code_word(rng)


def clock(rng: random.Random, _: Split) -> Value:
    return f"{rng.randint(0, 23)}:{rng.choice((0, 15, 30, 45)):02d}"


CITY = Slot(
    ("city", "location", "place", "town", "city_name", "where", "destination_city", "locality"),
    "string",
    listed(values.CITIES, 0.35),
    "name of the city",
)
ORIGIN = Slot(
    ("origin", "from", "origin_city", "start", "departure", "from_city", "source"),
    "string",
    listed(values.CITIES, 0.35),
    "where the trip starts",
)
TARGET = Slot(
    ("destination", "to", "destination_city", "end", "arrival", "to_city", "target"),
    "string",
    listed(values.CITIES, 0.35),
    "where the trip ends",
)
COUNTRY = Slot(
    ("country", "country_name", "nation", "state", "land", "region"),
    "string",
    listed(values.COUNTRIES, 0.3),
    "name of the country",
)
PERSON = Slot(
    ("name", "person", "user", "customer", "to", "contact", "recipient", "username"),
    "string",
    listed(values.NAMES, 0.35),
    "name of the person",
)
UNIT = Slot(
    ("unit", "units", "scale", "temperature_unit", "format"),
    "string",
    listed(("celsius", "fahrenheit", "celsius", "fahrenheit")),
    "celsius or fahrenheit",
)
DAYS = Slot(
    ("days", "num_days", "day_count", "number_of_days", "length", "span"),
    "integer",
    whole(1, 14),
    "how many days",
)
COUNT = Slot(
    ("count", "amount", "quantity", "number", "n", "how_many", "pieces"), "integer", whole(1, 99), "how many"
)
MONEY = Slot(
    ("amount", "value", "sum", "money", "total", "quantity"), "integer", whole(1, 999), "how much money"
)
MINUTES = Slot(
    ("minutes", "duration", "mins", "time", "length", "timeout"), "integer", whole(1, 90), "minutes"
)
FIRST = Slot(("a", "x", "first", "left", "num1", "augend"), "integer", whole(0, 999), "the first number")
SECOND = Slot(("b", "y", "second", "right", "num2", "addend"), "integer", whole(0, 999), "the second number")
PAY = Slot(
    ("from", "source", "from_currency", "base", "currency_from", "have"),
    "string",
    listed(values.CURRENCIES),
    "currency code",
)
GET = Slot(
    ("to", "target", "to_currency", "quote", "currency_to", "want"),
    "string",
    listed(values.CURRENCIES),
    "currency code",
)
QUERY = Slot(
    ("query", "q", "text", "search", "terms", "keywords", "phrase"), "string", words(1, 3), "what to look for"
)
TEXT = Slot(
    ("text", "message", "body", "content", "note", "sentence", "words"), "string", words(2, 4), "the text"
)
LANGUAGE = Slot(
    ("language", "target_language", "lang", "to", "into", "target"),
    "string",
    listed(values.LANGUAGES),
    "the language",
)
CODE = Slot(
    ("order_id", "id", "code", "reference", "ticket", "number", "key"), "string", code, "the number or code"
)
ITEM = Slot(
    ("item", "product", "article", "thing", "name", "goods", "sku"),
    "string",
    listed(values.ITEMS, 0.3),
    "the thing",
)
CLOCK = Slot(("time", "at", "when", "hour", "start_time", "clock"), "string", clock, "the time of day")
DAY = Slot(("day", "date", "weekday", "when", "on"), "string", listed(values.DAYS), "the day of the week")
COLOUR = Slot(
    ("color", "colour", "shade", "paint", "tone"), "string", listed(values.COLOURS, 0.2), "the colour"
)
