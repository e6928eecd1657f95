"""Runs the probes of every parameter that a card declares."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from inference.api.parameters import BY_NAME
from inference.auth.authority import Authority
from inference.backends.model_files import prompts_of
from inference.cards.card import Card, CardError, Deployment
from inference.conformance import format_probes, generation_probes, remote_probes, vector_probes
from inference.conformance.azure_plans import fits
from inference.conformance.client import InProcessClient, RequestRefused
from inference.conformance.generation_probes import Probe
from inference.conformance.measure import Measured, measure
from inference.contracts import Route
from inference.registry.registry import Registry
from inference.service import Service
from inference.settings import Settings

FETCH_SECONDS = 3600
"""How long the files of a deployment in a container are waited for."""

HERE: Mapping[str, Probe] = {**generation_probes.PROBES, **format_probes.PROBES, **vector_probes.PROBES}
ELSEWHERE: Mapping[str, Probe] = {**HERE, **remote_probes.PROBES}
"""An endpoint promises less than an engine here: no seed that repeats, no template that is known."""
NO_PROBE = "nothing here knows how to prove it"


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What was seen of one declared parameter on one route; `problem` is None when it took effect."""

    route: Route
    parameter: str
    problem: str | None


async def prove(name: str, settings: Settings) -> AsyncGenerator[ProbeResult, None]:
    """A verdict for each declared parameter on each of its routes, after one of a plain request.

    Raises `errors.ApiError` when there is no such deployment or it is broken.
    """
    # Keys guard the endpoint; this asks in its own process.
    opened = replace(settings, anonymous=True)
    registry = await asyncio.to_thread(Registry.settled, opened)
    service = Service(opened, registry, Authority.from_settings(opened, loopback=True))
    try:
        deployment = registry.get(name)
        await asyncio.to_thread(registry.bring, deployment, FETCH_SECONDS)
        card, prompts = deployment.card, _prompts(deployment)
        for route in sorted(card.routes):
            asker = InProcessClient(service, card, route, prompts)
            yield ProbeResult(route, "", await _verdict(_plain, asker))
            for parameter in _declared(card, route, prompts):
                yield ProbeResult(route, parameter, await _verdict(probe_of(parameter, card), asker))
    finally:
        await service.aclose()


def probe_of(parameter: str, card: Card) -> Probe:
    """What shows whether a deployment of this card honours the parameter."""
    return (HERE if card.remote is None else ELSEWHERE).get(parameter, _unknown)


def _prompts(deployment: Deployment) -> Mapping[str, str]:
    """None of a broken deployment, which the first question tells."""
    try:
        return prompts_of(deployment)
    except CardError:
        return {}


def _declared(card: Card, route: Route, prompts: Mapping[str, str]) -> list[str]:
    names = [*card.parameters, *card.extras, *(["input_type"] if any(prompts.values()) else [])]
    return [name for name in names if route in BY_NAME[name].routes]


async def _verdict(probe: Probe, asker: InProcessClient) -> str | None:
    try:
        return await probe(asker)
    except RequestRefused as refused:
        return f"refused: {refused}"


async def _plain(asker: InProcessClient) -> str | None:
    await asker.ask()
    return None


async def _unknown(_: InProcessClient) -> str | None:
    return NO_PROBE


Print = Callable[[str], None]


async def check(name: str, settings: Settings, show: Print, *, measures: bool = True) -> bool:
    """Shows a table; True when all that is declared was proved and, measured, some size of Azure is enough.

    Raises `errors.ApiError` when there is no such deployment or it is broken.
    """
    small = False
    if measures:
        # Before the proof, which opens the model a second time and would be counted.
        measured = await measure(name, settings)
        for line in table(measured):
            show(line)
        need = measured.need
        small = need is None or any(fit.problem is None for fit in fits(need))
    failed = 0
    async for verdict in prove(name, settings):
        failed += verdict.problem is not None
        show(f"{verdict.route:<20}{verdict.parameter or '(plain request)':<24}{verdict.problem or 'ok'}")
    show(f"\n{_sum(failed)}" + ("" if small or not measures else " It fits no size that infra/ offers."))
    return not failed and (small or not measures)


def table(measured: Measured) -> Iterator[str]:
    """The measured numbers, then the sizes of Azure."""
    for rate in measured.rates:
        yield f"{rate.name:<44}{rate.value:>10,.1f} {rate.unit}"
    yield ""
    if measured.need is None:
        yield "This system does not tell a process's memory: sizes are not judged."
    else:
        for fit in fits(measured.need):
            verdict = fit.problem or f"fits, {fit.memory / fit.plan.memory:.0%} used at most"
            yield f"{fit.plan.name:<28}{fit.plan.cores:>5g} cores   {verdict}"
    yield ""


def _sum(failed: int) -> str:
    return f"{failed} of the declared parameters failed." if failed else "All that is declared is proved."
