"""A request on its way through the stages, and the deployments that the stages may ask for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, TypeVar

from inference.api.http_types import ClientGone, HttpRequest, HttpResponse
from inference.backends.loaded_models import LoadedModel
from inference.cancellation import cancel, finish
from inference.cards.card import Deployment
from inference.contracts import ApiStyle, Route
from inference.pipeline.shutdown import InterruptiblePart, Shutdown
from inference.telemetry.request_log import RequestTrace

WATCH_SECONDS = 0.25
"""The interval at which a request looks for its client until its response starts."""

Result = TypeVar("Result")


@dataclass(slots=True)
class Exchange:
    """One HTTP request until its answer is over: its trace, and the resources it keeps open."""

    http: HttpRequest
    trace: RequestTrace
    resources: ExitStack = field(default_factory=ExitStack)
    stream: AsyncGenerator[bytes, None] | None = None
    """The body of a streamed response, once it is made."""
    ended: bool = False
    part: InterruptiblePart = field(default_factory=lambda: Shutdown(0).part())
    """The request up to its response, as a shutdown may interrupt it."""

    @property
    def headers(self) -> dict[str, str]:
        """The headers of every answer: its ids, and OpenAI's time until the answer or its first event."""
        headers = self.trace.headers
        if self.http.target.style is ApiStyle.OPENAI:
            headers["openai-processing-ms"] = str(round(self.trace.milliseconds))
        return headers

    def end(self, status: int) -> None:
        """Release the resources and write the line of the log, the first time."""
        self.resources.close()
        if not self.ended:
            self.ended = True
            self.trace.finish(status)

    async def abandon(self) -> None:
        """Release the resources of a request whose response is not sent, its stream's included."""
        try:
            if self.stream is not None:
                await finish(self.stream.aclose())
        finally:
            self.resources.close()

    async def unless_gone(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Return the work's result; cancel it and raise `ClientGone` when the client hangs up first.

        The work has ended when this returns or raises.
        """
        task = asyncio.create_task(work)
        try:
            while not task.done():
                await asyncio.wait({task}, timeout=WATCH_SECONDS)
                if not task.done() and await self.http.gone():
                    raise ClientGone
            return task.result()
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
        finally:
            await cancel(task)


class Deployments(Protocol):
    """The deployments of this endpoint: `registry.registry.Registry`."""

    def get(self, name: str) -> Deployment:
        """Return a deployment by name. Raises `UnknownModel`, `DeploymentBroken` or `ModelNotReady`."""
        ...

    def choose(self, route: Route, *, fixed: str | None, model: str | None) -> Deployment:
        """Return the deployment that answers a request. Raises a refusal where there is none."""
        ...

    async def open(self, deployment: Deployment, *, patience: float) -> LoadedModel:
        """Return the running model for a use that can bear that it is closed meanwhile."""
        ...

    async def lease(self, deployment: Deployment, *, patience: float) -> AbstractContextManager[LoadedModel]:
        """Return the running model, which stays open until the context is left.

        Raises `ModelNotReady` when that takes longer than `patience` seconds, `DeploymentBroken`,
        `DeploymentTooLarge`.
        """
        ...


Answer: TypeAlias = Callable[[Exchange], Awaitable[HttpResponse]]


@dataclass(frozen=True, slots=True)
class Journey:
    """The coroutines of a route: its answer, and the answer of its dry run where it has a body."""

    answer: Answer
    dry_run: Answer | None = None
