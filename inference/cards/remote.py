"""The part of a card about a model that runs elsewhere: which endpoint is asked, in which dialect, by which
right, and how long it may take."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from inference.contracts import Task

BACKEND = "remote"
"""The backend that a card with this part has."""

HERE = ("localhost", "127.0.0.1", "::1")
"""Hosts that keys may be sent to over plain http: nobody stands between."""

UNANSWERED = frozenset({"audio", "functions", "function_call", "best_of"})
"""Extras whose effect stands in parts of an answer that are not handed back, or changes how many choices
there are: they are never passed on."""

Input = Literal["text", "image_url", "input_audio", "audio_url"]
"""Kinds of parts of a message's content."""


class RemoteApi(StrEnum):
    """What the endpoint understands."""

    THIS = "azure-ai-inference"
    """This API: another instance of this app, or an endpoint of Azure AI."""
    AZURE_OPENAI = "azure-openai"
    OPENAI = "openai"
    """Any server compatible with OpenAI's."""


class RemoteCard(BaseModel):
    """Where a `remote` deployment's requests are sent. It holds no secret: `key_setting` names the setting
    that does."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    url: str = Field(
        description="What its SDKs take as endpoint: https://NAME.services.ai.azure.com/models, "
        "https://NAME.openai.azure.com, https://HOST/v1."
    )
    dialect: RemoteApi = Field(description="What the endpoint understands.")
    model: str = Field(
        "",
        pattern=r"^[A-Za-z0-9._:/@+-]*$",
        description="What the endpoint calls the model: Azure OpenAI's deployment, else the body's `model`.",
    )
    api_version: str = Field(
        "",
        pattern=r"^([A-Za-z0-9.-]*)$",
        description="Sent as `api-version`. Without it: the caller's for this API, 2024-10-21 for "
        "azure-openai, none for openai.",
    )
    key_setting: str = Field(
        "",
        pattern=r"^([A-Z][A-Z0-9_]*)?$",
        description="The NAME of the environment variable or app setting that holds the key.",
    )
    identity_scope: str = Field(
        "",
        description="Instead of a key: the scope of the token that the app's identity asks for, such as "
        "https://cognitiveservices.azure.com/.default.",
    )
    timeout_seconds: float = Field(
        120,
        gt=0,
        le=3600,
        description="The longest that the endpoint may say nothing; an answer that is not streamed is "
        "silence until it comes.",
    )
    connect_seconds: float = Field(
        5, gt=0, le=60, description="The longest that a connection, or a place in the pool, may take."
    )
    connections: int = Field(100, ge=1, le=1000, description="The most connections at a time.")
    retries: int = Field(
        2, ge=0, le=5, description="How often a request is sent again that the endpoint did not begin."
    )
    stream_usage: bool | None = Field(
        None,
        description="Whether streams are asked for their usage with `stream_options`. Absent: yes in "
        "OpenAI's dialects, no in this API's, which sends it unasked.",
    )

    @field_validator("url")
    @classmethod
    def _endpoint(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("https", "http") or not parts.hostname:
            raise ValueError("expected https://HOST with a path or none")
        if parts.query or parts.fragment or parts.username or parts.password:
            raise ValueError("a query, a fragment or a password has no place in it")
        return url.rstrip("/")

    @model_validator(mode="after")
    def _agrees(self) -> RemoteCard:
        if self.key_setting and self.identity_scope:
            raise ValueError("key_setting and identity_scope exclude each other")
        if self.dialect is not RemoteApi.THIS and not self.model:
            raise ValueError(f"model is missing: {self.dialect} needs the name of the model")
        if (self.key_setting or self.identity_scope) and not self.is_private:
            raise ValueError("a key or a token is sent over https only, or to this machine")
        return self

    @property
    def is_local(self) -> bool:
        """Whether the endpoint is on this machine, where no proxy leads to."""
        return urlsplit(self.url).hostname in HERE

    @property
    def is_private(self) -> bool:
        """Whether nobody between here and there can read along."""
        return self.url.startswith("https:") or self.is_local

    @property
    def asks_usage(self) -> bool:
        """Whether a stream says `stream_options`, so that it tells its usage."""
        return self.dialect is not RemoteApi.THIS if self.stream_usage is None else self.stream_usage


def misplaced(backend: str, remote: RemoteCard | None, task: Task, *, any_extras: bool) -> Iterator[str]:
    """What a card declares that only makes sense of a model elsewhere, or does not even there."""
    if backend != BACKEND:
        if remote is not None:
            yield f"remote belongs to the backend {BACKEND}, not to {backend}"
        if any_extras:
            yield f"extras: any belongs to the backend {BACKEND}, not to {backend}"
    elif remote is None:
        yield "remote is missing: which endpoint is asked"
    elif task is Task.IMAGE_EMBEDDINGS and remote.dialect is not RemoteApi.THIS:
        yield f"remote.dialect: {remote.dialect} has no route for pictures"
