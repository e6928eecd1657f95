"""The local host: it serves the functions of `function_app.py` without Azure and without Core Tools.

It routes as the Functions host does (case-insensitive, a trailing slash allowed, literals before parameters,
404 also for a wrong method), and calls each function with the request object that the real worker passes.
The connections that Azure's front end limits are limited here by `hosts/connections.py`.
"""

from __future__ import annotations

import asyncio
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
from errno import EADDRNOTAVAIL
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any, cast

import azure.functions as func
import uvicorn
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Message, Receive, Scope, Send

from inference.api.http_types import NOT_STORED, SAFE_HEADERS, fold, refusal_response
from inference.contracts import ApiStyle
from inference.errors import NotFound
from inference.hosts.connections import ConnectionLimits, LimitedConnection, LoopErrors, most_connections
from inference.hosts.functions import ENVIRONMENT
from inference.pipeline.shutdown import end_after
from inference.settings.connections import ConnectionSettings

log = logging.getLogger(__name__)

PARAMETER = re.compile(r"\\\{(?P<all>\\\*)?(?P<name>\w+)(?::(?P<kind>\w+))?(?P<optional>\\\?)?\\\}")
"""A route parameter in an escaped template: `{x}`, `{x:int}`, `{x?}`, `{*rest}`."""

BACKLOG = 2048
"""Connections that may wait to be accepted: uvicorn's own default."""

GRACE = 5
"""Seconds beyond those of a shutdown for the last events of streams, and then for closing the models."""

Handler = Callable[..., Awaitable[Response]]


class HostError(Exception):
    """An app that cannot be served; the message has the reason."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """An HTTP function: its route, its methods and its handler."""

    name: str
    template: str
    methods: frozenset[str]
    parameter: str
    """Name of the handler's parameter for the request."""
    handler: Handler
    pattern: re.Pattern[str]

    @property
    def precedence(self) -> tuple[int, int]:
        """Sort key: literal routes first, then those with parameters, a catch-all last; longer ones first."""
        kind = 2 if "{*" in self.template else 1 if "{" in self.template else 0
        return kind, -len(self.template)


def triggers(app: func.FunctionApp, prefix: str) -> list[Trigger]:
    """Return the HTTP functions of an app by precedence. An app can be read only once."""
    result = []
    for function in app.get_functions():
        if not function.is_http_function():
            continue
        binding: Any = function.get_trigger()
        template = "/".join(part for part in (prefix, str(binding.route).strip("/")) if part)
        methods = frozenset(str(getattr(method, "value", method)) for method in binding.methods or ())
        handler: Handler = function.get_user_function()
        name = str(function.get_function_name())
        result.append(Trigger(name, template, methods, binding.name, handler, _pattern(template)))
    return sorted(result, key=lambda trigger: trigger.precedence)


def _pattern(template: str) -> re.Pattern[str]:
    """Return the pattern of the decoded paths that a route template matches."""

    def group(match: re.Match[str]) -> str:
        characters = ".*" if match["all"] else r"\d+" if match["kind"] == "int" else "[^/]+"
        return f"(?P<{match['name']}>{characters}){'?' if match['optional'] else ''}"

    return re.compile("/?" + PARAMETER.sub(group, re.escape(template)) + "/?", re.IGNORECASE | re.DOTALL)


class LocalHost:
    """An ASGI app that routes requests to triggers."""

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
                break
        else:
            response = _no_function(scope["method"], scope["path"])
        if _has_two_lengths(scope):
            response.headers["Connection"] = "close"
        await response(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message: Message = await receive()
            if message["type"] == "lifespan.shutdown":
                self._on_stop()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return


def _no_function(method: str, path: str) -> Response:
    """Return the refusal of a request that no function takes, such as one with a method of WebDAV."""
    refused = refusal_response(NotFound(f"Not Found: nothing takes {method} {fold(path)}."), ApiStyle.NATIVE)
    headers = {**SAFE_HEADERS, **NOT_STORED, **refused.headers}
    return Response(refused.body, refused.status, headers, refused.media_type)


def _has_two_lengths(scope: Scope) -> bool:
    """Return True for a request with both framings, after which RFC 9112 has the connection closed.

    Something before this host may take the other framing, and what follows for another request.
    """
    names = {name for name, _ in scope["headers"]}
    return {b"content-length", b"transfer-encoding"} <= names


async def _invoke(trigger: Trigger, request: Request) -> Response:
    try:
        response = await trigger.handler(**{trigger.parameter: request})
    except Exception:
        log.exception("The function %s failed", trigger.name)
        return PlainTextResponse("Internal Server Error", 500)
    return response


def load(folder: Path, on_stop: Callable[[], None]) -> LocalHost:
    """Return the app of a folder, found as the Functions host finds it.

    Raises `HostError` unless there is exactly one app.
    """
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    module = importlib.import_module("function_app")
    apps = [value for value in vars(module).values() if isinstance(value, func.FunctionApp)]
    if len(apps) != 1:
        raise HostError(f"function_app.py has {len(apps)} FunctionApp objects; exactly one is needed")
    return LocalHost(triggers(apps[0], _route_prefix(folder)), on_stop)


def prepare(folder: Path, host: str) -> None:
    """Set the environment as Core Tools does, without replacing variables that are set.

    The variables are `Values` of local.settings.json, and `ENVIRONMENT` if only this machine can reach the
    host's address. Raises `HostError`.
    """
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


def _route_prefix(folder: Path) -> str:
    """Return the prefix of every route in host.json, by default `api`."""
    host = json.loads((folder / "host.json").read_text(encoding="utf-8"))
    return str(host.get("extensions", {}).get("http", {}).get("routePrefix", "api")).strip("/")


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket. Raises `HostError` if the port is taken or the host is not this machine."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with ExitStack() as on_error:
            listener = on_error.enter_context(socket.socket(family, kind, protocol))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(BACKLOG)
            on_error.pop_all()
    except OSError as error:
        raise HostError(f"Cannot listen on {host}:{port}: {error.strerror}. {_advice(error, port)}") from None
    return listener


def _advice(error: OSError, port: int) -> str:
    if isinstance(error, socket.gaierror) or error.errno == EADDRNOTAVAIL:
        return "Choose an address of this machine, such as 127.0.0.1."
    return f"Choose another port, for example PORT={port + 1}."


def is_loopback(host: str) -> bool:
    """Return True if only this machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class _Server(uvicorn.Server):
    """uvicorn's server, with a full file table that is one line of the log, and an end that is certain."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start; `backlog` of the configuration is for the loop, that of the listeners is set here."""
        await super().startup(sockets)
        asyncio.get_running_loop().set_exception_handler(LoopErrors())
        for listener in sockets or ():
            listener.listen(BACKLOG)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Wait for open responses; the process ends in any case."""
        if self._captured_signals:
            end_after((self.config.timeout_graceful_shutdown or 0) + GRACE, self._captured_signals[-1])
        await super().shutdown(sockets)


def serve(
    folder: Path, listener: socket.socket, settings: ConnectionSettings, *, on_stop: Callable[[], None]
) -> None:
    """Serve until SIGINT or SIGTERM; running answers may take `shutdown_seconds` to finish."""
    config = uvicorn.Config(
        load(folder, on_stop),
        http=connection_type(settings),
        loop="asyncio",
        ws="none",
        access_log=False,
        log_level="warning",
        # The event loop accepts as many at once, and where no file is left it fails as often.
        backlog=1,
        timeout_keep_alive=settings.idle_seconds,
        timeout_graceful_shutdown=settings.shutdown_seconds + GRACE,
        lifespan="on",
        server_header=False,
    )
    try:
        _Server(config).run(sockets=[listener])
    except KeyboardInterrupt:
        log.info("Stopped.")


def connection_type(settings: ConnectionSettings) -> type[asyncio.Protocol]:
    """Return the type of connections with the limits of some settings."""
    limits = ConnectionLimits(
        connections=most_connections(settings.max_connections),
        header_seconds=settings.header_seconds,
        idle_seconds=settings.idle_seconds,
    )
    return cast(type[asyncio.Protocol], partial(LimitedConnection, limits=limits))
