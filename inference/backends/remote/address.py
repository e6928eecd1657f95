"""Where a route of an endpoint is, by its dialect."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import quote

from inference.cards.remote import RemoteApi, RemoteCard
from inference.contracts import Route

AZURE_OPENAI_VERSION = "2024-10-21"
"""Azure OpenAI's last api-version of a general release that is a date."""
THIS_VERSION = "2024-05-01-preview"
"""For requests that came under an OpenAI path and so have no api-version."""


def address(remote: RemoteCard, route: Route, version: str) -> str:
    """The URL of a route; `version` is the api-version that the request is served as, or `openai`."""
    path, given = ADDRESSES[remote.dialect](remote, route, version)
    asked = remote.api_version or given
    return f"{remote.url}{path}" + (f"?api-version={quote(asked)}" if asked else "")


def _this(_: RemoteCard, route: Route, version: str) -> tuple[str, str]:
    return f"/{route}", THIS_VERSION if version == "openai" else version


def _azure_openai(remote: RemoteCard, route: Route, _: str) -> tuple[str, str]:
    return f"/openai/deployments/{quote(remote.model, safe='')}/{route}", AZURE_OPENAI_VERSION


def _openai(_remote: RemoteCard, route: Route, _version: str) -> tuple[str, str]:
    return f"/{route}", ""


ADDRESSES: Mapping[RemoteApi, Callable[[RemoteCard, Route, str], tuple[str, str]]] = {
    RemoteApi.THIS: _this,
    RemoteApi.AZURE_OPENAI: _azure_openai,
    RemoteApi.OPENAI: _openai,
}
"""Path under the card's URL, and the api-version where the card has none."""
