"""`models check`: a probe of every declared parameter, measurements, and the fit into the sizes of infra/."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from dataclasses import dataclass

from inference.api.parameters import BY_NAME
from inference.backends.model_files import prompts_of
from inference.cards.card import Card, CardError, Deployment
from inference.conformance import format_probes, generation_probes, vector_probes
from inference.conformance.azure_plans import fits
from inference.conformance.client import InProcessClient, RequestRefused, in_process_service
from inference.conformance.generation_probes import Probe
from inference.conformance.measure import Measurement, measure
from inference.conformance.probe_texts import ProbeTexts
from inference.contracts import Route
from inference.registry.registry import Registry
from inference.settings import Settings

FETCH_SECONDS = 3600
"""Time for downloading a deployment from a container."""

LOCAL_PROBES: Mapping[str, Probe] = {
    **generation_probes.PROBES,
    **format_probes.PROBES,
    **vector_probes.PROBES,
}
REMOTE_PROBES: Mapping[str, Probe] = {**LOCAL_PROBES, **format_probes.REMOTE_FORMAT_PROBES}
"""A remote endpoint promises less than the engine: no seed that repeats, no known chat template."""

Print = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """Result of one declared parameter on one route; `problem` is None where it took effect."""

    route: Route
    parameter: str
    problem: str | None


async def check(name: str, settings: Settings, show: Print, *, measures: bool = True) -> bool:
    """Show a table of measurements, plans and probes.

    Return True where all declared parameters take effect and, if measured, the deployment fits a plan.
    Raises `errors.ApiError` where there is no such deployment or it is broken.
    """
    fitting = True
    if measures:
        # First: probes open the model a second time, which would add to the measured memory.
        measurement = await measure(name, settings)
        for line in table(measurement):
            show(line)
        need = measurement.need
        fitting = need is None or any(fit.problem is None for fit in fits(need))
    failed = 0
    async for result in probe_deployment(name, settings):
        failed += result.problem is not None
        show(f"{result.route:<20}{result.parameter or '(plain request)':<24}{result.problem or 'ok'}")
    show(f"\n{_summary(failed)}" + ("" if fitting else " The deployment fits no size that infra/ offers."))
    return not failed and fitting


async def probe_deployment(name: str, settings: Settings) -> AsyncGenerator[ProbeResult, None]:
    """Probe a deployment: on each route a plain request, then each declared parameter.

    Raises `errors.ApiError` where there is no such deployment or it is broken.
    """
    registry = await asyncio.to_thread(Registry.after_listing, settings)
    service = in_process_service(settings, registry)
    try:
        deployment = registry.get(name)
        await asyncio.to_thread(registry.wait_until_fetched, deployment, FETCH_SECONDS)
        card, prompts = deployment.card, _prompts(deployment)
        texts = await asyncio.to_thread(ProbeTexts.of, deployment)
        for route in sorted(card.routes):
            client = InProcessClient(service, card, route, prompts, texts)
            yield ProbeResult(route, "", await _run(_plain_request, client))
            for parameter in _declared(card, route, prompts):
                yield ProbeResult(route, parameter, await _run(probe_of(parameter, card), client))
    finally:
        await service.aclose()


def probe_of(parameter: str, card: Card) -> Probe:
    """Return the probe of a parameter for the card's backend."""
    return (LOCAL_PROBES if card.remote is None else REMOTE_PROBES).get(parameter, _no_probe)


def _prompts(deployment: Deployment) -> Mapping[str, str]:
    """Return the prompts by `input_type`; none where they are broken, which the plain request reports."""
    try:
        return prompts_of(deployment)
    except CardError:
        return {}


def _declared(card: Card, route: Route, prompts: Mapping[str, str]) -> list[str]:
    names = [*card.parameters, *card.extras, *(["input_type"] if any(prompts.values()) else [])]
    return [name for name in names if route in BY_NAME[name].routes]


async def _run(probe: Probe, client: InProcessClient) -> str | None:
    try:
        return await probe(client)
    except RequestRefused as refused:
        return f"refused: {refused}"


async def _plain_request(client: InProcessClient) -> str | None:
    await client.request()
    return None


async def _no_probe(_: InProcessClient) -> str | None:
    return "there is no probe for this parameter"


def table(measurement: Measurement) -> Iterator[str]:
    """Yield the lines of the measured numbers, then those of the plans."""
    for rate in measurement.rates:
        yield f"{rate.name:<44}{rate.value:>10,.1f} {rate.unit}"
    yield ""
    if measurement.need is None:
        yield "This system does not report a process's memory: the sizes of infra/ are not compared."
    else:
        for fit in fits(measurement.need):
            outcome = fit.problem or f"fits, {fit.memory / fit.plan.memory:.0%} used at most"
            yield f"{fit.plan.name:<28}{fit.plan.cores:>5g} cores   {outcome}"
    yield ""


def _summary(failed: int) -> str:
    return (
        f"{failed} of the declared parameters failed." if failed else "All declared parameters take effect."
    )
