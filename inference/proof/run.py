"""Runs the probes of every parameter that a card declares."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace

from inference.auth import Authority
from inference.card import Card
from inference.contracts import Route
from inference.parameters import BY_NAME
from inference.proof import elsewhere, generation, vectors
from inference.proof.asking import Asker, Refused
from inference.proof.generation import Probe
from inference.registry import Registry
from inference.service import Service
from inference.settings import Settings

PROBES = {**elsewhere.PROBES, **generation.PROBES, **vectors.PROBES}
NO_PROBE = "nothing here knows how to prove it"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was seen of one declared parameter on one route; `problem` is None when it took effect."""

    route: Route
    parameter: str
    problem: str | None


async def prove(name: str, settings: Settings) -> AsyncGenerator[Verdict, None]:
    """A verdict for each declared parameter on each of its routes, after one of a plain request.

    Raises `errors.ApiError` when there is no such deployment or it is broken.
    """
    # Keys guard the endpoint; this asks in its own process.
    opened = replace(settings, anonymous=True)
    service = Service(opened, Registry(opened), Authority.from_settings(opened, loopback=True))
    try:
        card = service.registry.get(name).card
        for route in sorted(card.routes):
            asker = Asker(service, card, route)
            yield Verdict(route, "", await _verdict(_plain, asker))
            for parameter in _declared(card, route):
                yield Verdict(route, parameter, await _verdict(PROBES.get(parameter, _unknown), asker))
    finally:
        await service.aclose()


def _declared(card: Card, route: Route) -> list[str]:
    names = [*card.parameters, *card.extras, *(["input_type"] if card.embedding.prompts else [])]
    return [name for name in names if route in BY_NAME[name].routes]


async def _verdict(probe: Probe, asker: Asker) -> str | None:
    try:
        return await probe(asker)
    except Refused as refused:
        return f"refused: {refused}"


async def _plain(asker: Asker) -> str | None:
    await asker.ask()
    return None


async def _unknown(_: Asker) -> str | None:
    return NO_PROBE
