"""`models check`: measures a deployment, then proves what its card declares."""

from __future__ import annotations

from collections.abc import Callable

from inference.proof.run import prove
from inference.settings import Settings

Print = Callable[[str], None]


async def check(name: str, settings: Settings, show: Print, *, measures: bool = True) -> bool:
    fine = True
    async for verdict in prove(name, settings):
        fine = fine and verdict.problem is None
        show(f"{verdict.route:<20}{verdict.parameter or '(plain request)':<24}{verdict.problem or 'ok'}")
    return fine
