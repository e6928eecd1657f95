"""An in-process client of one deployment: requests go through the whole service, without a socket."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from inference.api.http_types import HttpRequest, HttpResponse, resolve
from inference.auth.authority import Authenticator
from inference.cards.card import Card
from inference.conformance.probe_texts import ProbeTexts
from inference.contracts import Route
from inference.registry.registry import Registry
from inference.service import Service
from inference.settings import Settings

HEADERS: Mapping[str, str] = {"extra-parameters": "pass-through", "content-type": "application/json"}


def in_process_service(settings: Settings, registry: Registry) -> Service:
    """Return a service for requests of this process, which need no key."""
    keyless = replace(settings, anonymous=True)
    return Service(keyless, registry, Authenticator.from_settings(keyless, loopback=True))


def in_process_request(
    name: str, route: Route, body: bytes, headers: Mapping[str, str] = HEADERS
) -> HttpRequest:
    """Return a POST request of a deployment's route, from a client that stays connected."""
    path = f"deployments/{name}/{route}"

    async def read(_: int) -> bytes:
        return body

    async def disconnected() -> bool:
        return False

    return HttpRequest("POST", f"/{path}", resolve(path), headers, {}, read, disconnected)


class RequestRefused(Exception):
    """The deployment refused a request within its declared parameters; the message is the refusal's."""


def reason_of(error: Mapping[str, Any]) -> str:
    """Return the message of a refusal with its places: endpoints have messages that do not name them."""
    message = str(error["message"])
    places = [
        f"{detail['target']}: {detail['message']}"
        if detail.get("message") and detail["message"] not in message
        else f"{detail['target']} is {detail.get('input')!r}"
        for detail in error.get("details") or ()
        if detail.get("target") and detail["target"] not in message
    ]
    return f"{message} ({'; '.join(places)})" if places else message


class InProcessClient:
    """A client of one route of a deployment, which sends every distinct request once."""

    def __init__(
        self,
        service: Service,
        card: Card,
        route: Route,
        prompts: Mapping[str, str] | None = None,
        texts: ProbeTexts | None = None,
    ) -> None:
        self.card = card
        self.route = route
        self.prompts = prompts or {}
        """Prompt of an embedding model before an input, by `input_type`."""
        self.texts = texts or ProbeTexts()
        self._service = service
        self._cache: dict[bytes, Any] = {}

    def declares(self, name: str) -> bool:
        return self.card.limits(name) is not None

    async def request(self, **parameters: Any) -> Any:
        """Return the response to a request, of a repeated one from the cache. Raises `RequestRefused`.

        Without a message, prompt or input the request has a default one. A stream is a list of its chunks.
        """
        key = orjson.dumps(parameters, option=orjson.OPT_SORT_KEYS)
        if key not in self._cache:
            self._cache[key] = await self.request_again(**parameters)
        return self._cache[key]

    async def request_again(self, **parameters: Any) -> Any:
        """Return the response to a request past the cache. Raises `RequestRefused`."""
        response = await self._post({**self._default_input(), **self._rename_length(parameters)}, HEADERS)
        if isinstance(response.body, bytes):
            body = response.body
        else:
            body = b"".join([piece async for piece in response.body])
        if response.status != 200:
            raise RequestRefused(reason_of(orjson.loads(body)["error"]))
        if isinstance(response.body, bytes):
            return orjson.loads(body)
        lines = [line[6:] for line in body.split(b"\n") if line.startswith(b"data: ")]
        return [orjson.loads(line) for line in lines if line != b"[DONE]"]

    async def dry_run(self, **parameters: Any) -> Any:
        """Return the outcome of a request without running it. Raises `RequestRefused` where it has none."""
        headers = {**HEADERS, "x-dry-run": "true"}
        response = await self._post({**self._default_input(), **parameters}, headers)
        assert isinstance(response.body, bytes)
        body = orjson.loads(response.body)
        if response.status != 200:
            raise RequestRefused(reason_of(body["error"]))
        return body

    async def _post(self, body: dict[str, Any], headers: Mapping[str, str]) -> HttpResponse:
        request = in_process_request(self.card.name, self.route, orjson.dumps(body), headers)
        return await self._service.answer(request)

    def _rename_length(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the parameters with the length under its declared name; reasoning models know one only."""
        older, newer = "max_tokens", "max_completion_tokens"
        if older not in parameters or self.declares(older):
            return parameters
        others = {name: value for name, value in parameters.items() if name != older}
        renamed = self.route == Route.CHAT and self.declares(newer)
        return {**others, newer: parameters[older]} if renamed else others

    def _default_input(self) -> dict[str, Any]:
        match self.route:
            case Route.CHAT:
                return {"messages": [{"role": "user", "content": self.texts.question}]}
            case Route.COMPLETIONS:
                return {"prompt": self.texts.question}
            case Route.IMAGE_EMBEDDINGS:
                return {"input": [{"image": IMAGE}]}
            case Route.RERANK:
                return {"query": self.texts.question, "documents": [self.texts.question, self.texts.words[0]]}
            case Route.CLASSIFY | Route.EMBED_SPARSE:
                return {"inputs": [self.texts.question], "truncate": True}
            case _:
                return {"input": [self.texts.question]}


IMAGE = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAPklEQVR42mMUETmxhSuMAQMwbeEK8/m2CosEAwMDVjkmCIUpxwRnockx"
    "IatClmNCMxoux3hCTg7TST7fVgEAydUXA0/tZskAAAAASUVORK5CYII="
)
"""A PNG of 8 by 8 pixels."""


def text_of(response: Any) -> str:
    """Return the text of a response's first choice."""
    choice = response["choices"][0]
    return str(choice["text"] if "text" in choice else choice["message"]["content"] or "")


def usage_of(response: Any, field: str) -> int:
    """Return a token count of a response."""
    return int(response["usage"][field])
