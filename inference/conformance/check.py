"""`models check`: measures a deployment, says where it fits, proves what its card declares."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from inference.conformance.azure_plans import fits
from inference.conformance.measure import Measured, measure
from inference.conformance.run import prove
from inference.settings import Settings

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
