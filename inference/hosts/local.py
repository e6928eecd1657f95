"""The local host: serves the function objects of `function_app.py` without Azure and without Core Tools.

It routes as the Functions host does (without case, a trailing slash allowed, literal before parameter, 404
also for a wrong method) and hands each function the request object that the real worker would.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import re
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import azure.functions as func
import uvicorn
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Message, Receive, Scope, Send

from inference.hosts.functions import ENVIRONMENT

log = logging.getLogger(__name__)

PARAMETER = re.compile(r"\\\{(?P<all>\\\*)?(?P<name>\w+)(?::(?P<kind>\w+))?(?P<optional>\\\?)?\\\}")
"""A route parameter in an escaped template: `{x}`, `{x:int}`, `{x?}`, `{*rest}`."""

BACKLOG = 2048
"""Connections that may wait to be accepted: uvicorn's own default."""

Handler = Callable[..., Awaitable[Response]]


class HostError(Exception):
    """The app cannot be served; the message says why."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """One HTTP function: where it listens and what runs."""

    name: str
    template: str
    methods: frozenset[str]
    parameter: str
    handler: Handler
    pattern: re.Pattern[str]

    @property
    def precedence(self) -> tuple[int, int]:
        """Literal routes before those with parameters, a catch-all last, longer before shorter."""
        kind = 2 if "{*" in self.template else 1 if "{" in self.template else 0
        return kind, -len(self.template)


def triggers(app: func.FunctionApp, prefix: str) -> list[Trigger]:
    """The HTTP functions of an app in the order of their precedence. An app can be read only once."""
    found = []
    for function in app.get_functions():
        if not function.is_http_function():
            continue
        binding: Any = function.get_trigger()
        template = "/".join(part for part in (prefix, str(binding.route).strip("/")) if part)
        methods = frozenset(str(getattr(method, "value", method)) for method in binding.methods or ())
        handler: Handler = function.get_user_function()
        name = str(function.get_function_name())
        found.append(Trigger(name, template, methods, binding.name, handler, _pattern(template)))
    return sorted(found, key=lambda trigger: trigger.precedence)


def _pattern(template: str) -> re.Pattern[str]:
    def group(match: re.Match[str]) -> str:
        characters = ".*" if match["all"] else r"\d+" if match["kind"] == "int" else "[^/]+"
        return f"(?P<{match['name']}>{characters}){'?' if match['optional'] else ''}"

    return re.compile("/?" + PARAMETER.sub(group, re.escape(template)) + "/?", re.IGNORECASE | re.DOTALL)


class LocalHost:
    """An ASGI app over triggers."""

    def __init__(self, functions: list[Trigger], on_stop: Callable[[], None]) -> None:
        self._triggers = functions
        self._on_stop = on_stop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        for trigger in self._triggers:
            match = trigger.pattern.fullmatch(scope["path"])
            if match and (not trigger.methods or scope["method"] in trigger.methods):
                scope["path_params"] = {k: v for k, v in match.groupdict().items() if v is not None}
                response = await _invoke(trigger, Request(scope, receive))
                await response(scope, receive, send)
                return
        await PlainTextResponse("", 404)(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message: Message = await receive()
            if message["type"] == "lifespan.shutdown":
                self._on_stop()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return


async def _invoke(trigger: Trigger, request: Request) -> Response:
    try:
        response = await trigger.handler(**{trigger.parameter: request})
    except Exception:
        log.exception("The function %s failed", trigger.name)
        return PlainTextResponse("Internal Server Error", 500)
    return response


def load(folder: Path, on_stop: Callable[[], None]) -> LocalHost:
    """The app in a folder, read as the Functions host reads it.

    Raises `HostError` when there is not exactly one app.
    """
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    module = importlib.import_module("function_app")
    apps = [value for value in vars(module).values() if isinstance(value, func.FunctionApp)]
    if len(apps) != 1:
        raise HostError(f"function_app.py has {len(apps)} FunctionApp objects, expected one")
    return LocalHost(triggers(apps[0], _prefix(folder)), on_stop)


def prepare(folder: Path, host: str) -> None:
    """Sets the environment as Core Tools does: `Values` of local.settings.json where nothing is set yet, and
    the sign that only this machine can call. Raises `HostError`."""
    path = folder / "local.settings.json"
    if path.is_file():
        try:
            values = json.loads(path.read_text(encoding="utf-8")).get("Values", {})
        except ValueError as error:
            raise HostError(f"local.settings.json is not JSON: {error}") from None
        for name, value in values.items():
            os.environ.setdefault(name, str(value))
    if is_loopback(host):
        os.environ.setdefault(ENVIRONMENT, "Development")


def _prefix(folder: Path) -> str:
    host = json.loads((folder / "host.json").read_text(encoding="utf-8"))
    return str(host.get("extensions", {}).get("http", {}).get("routePrefix", "api")).strip("/")


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises `HostError` with what to do when the port is taken or the host unknown."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with ExitStack() as on_error:
            listener = on_error.enter_context(socket.socket(family, kind, protocol))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(BACKLOG)
            on_error.pop_all()
    except OSError as error:
        advice = f"Choose another port, for example PORT={port + 1}."
        raise HostError(f"Cannot listen on {host}:{port}: {error.strerror}. {advice}") from None
    return listener


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def serve(folder: Path, listener: socket.socket, *, on_stop: Callable[[], None]) -> None:
    """Serves until SIGINT or SIGTERM; streams in flight get five seconds to end."""
    config = uvicorn.Config(
        load(folder, on_stop),
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=5,
        lifespan="on",
        server_header=False,
    )
    try:
        uvicorn.Server(config).run(sockets=[listener])
    except KeyboardInterrupt:
        log.info("Stopped.")
