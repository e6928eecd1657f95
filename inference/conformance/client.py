"""Asks a deployment through the whole journey, in this process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from inference.api.http_types import HttpRequest
from inference.api.paths import resolve
from inference.cards.card import Card
from inference.contracts import Route
from inference.service import Service

HEADERS = {"extra-parameters": "pass-through", "content-type": "application/json"}
QUESTION = "Count from one to ten, then say goodbye."


class RequestRefused(Exception):
    """The deployment refused what its card declares; the message is its own."""


class InProcessClient:
    """Puts requests to one deployment; asks every distinct request once."""

    def __init__(
        self, service: Service, card: Card, route: Route, prompts: Mapping[str, str] | None = None
    ) -> None:
        self.card = card
        self.prompts = prompts or {}
        """What stands before a text to embed, by `input_type`."""
        self.route = route
        self._service = service
        self._answered: dict[bytes, Any] = {}

    def declares(self, name: str) -> bool:
        return self.card.limits(name) is not None

    async def ask(self, **parameters: Any) -> Any:
        """The answer's body, of a repeated request the first one. Raises `Refused`."""
        key = orjson.dumps(parameters, option=orjson.OPT_SORT_KEYS)
        if key not in self._answered:
            self._answered[key] = await self.ask_again(**parameters)
        return self._answered[key]

    async def ask_again(self, **parameters: Any) -> Any:
        """The answer's body, asked for anew; of a stream the list of its chunks. Raises `Refused`."""
        answer = await self._service.answer(self._call({**self._subject(), **self._known(parameters)}))
        body = (
            answer.body
            if isinstance(answer.body, bytes)
            else b"".join([piece async for piece in answer.body])
        )
        if answer.status != 200:
            raise RequestRefused(orjson.loads(body)["error"]["message"])
        if isinstance(answer.body, bytes):
            return orjson.loads(body)
        lines = [line[6:] for line in body.split(b"\n") if line.startswith(b"data: ")]
        return [orjson.loads(line) for line in lines if line != b"[DONE]"]

    def _known(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        """With the length by the name that the card declares; models that think know only the later one."""
        early, late = "max_tokens", "max_completion_tokens"
        if early not in parameters or self.declares(early):
            return parameters
        rest = {name: value for name, value in parameters.items() if name != early}
        taken = self.route == Route.CHAT and self.declares(late)
        return {**rest, late: parameters[early]} if taken else rest

    async def rehearse(self, **parameters: Any) -> Any:
        """What would become of a request. Raises `Refused` where not even that can be told."""
        call = self._call({**self._subject(), **parameters})
        answer = await self._service.answer(replace(call, headers={**HEADERS, "x-dry-run": "true"}))
        assert isinstance(answer.body, bytes)
        body = orjson.loads(answer.body)
        if answer.status != 200:
            raise RequestRefused(body["error"]["message"])
        return body

    def _subject(self) -> dict[str, Any]:
        match self.route:
            case Route.CHAT:
                return {"messages": [{"role": "user", "content": QUESTION}]}
            case Route.COMPLETIONS:
                return {"prompt": QUESTION}
            case Route.IMAGE_EMBEDDINGS:
                return {"input": [{"image": PICTURE}]}
            case _:
                return {"input": [QUESTION]}

    def _call(self, body: dict[str, Any]) -> HttpRequest:
        path = f"deployments/{self.card.name}/{self.route}"

        async def read(_: int) -> bytes:
            return orjson.dumps(body)

        async def gone() -> bool:
            return False

        return HttpRequest("POST", f"/{path}", resolve(path), HEADERS, {}, read, gone)


PICTURE = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAPklEQVR42mMUETmxhSuMAQMwbeEK8/m2CosEAwMDVjkmCIUpxwRnockx"
    "IatClmNCMxoux3hCTg7TST7fVgEAydUXA0/tZskAAAAASUVORK5CYII="
)
"""Any small picture."""


def text_of(answer: Any) -> str:
    """The text of a whole answer's first choice."""
    choice = answer["choices"][0]
    return str(choice["text"] if "text" in choice else choice["message"]["content"] or "")


def usage_of(answer: Any, field: str) -> int:
    return int(answer["usage"][field])
