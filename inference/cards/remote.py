"""The part of a card about a remote model: its endpoint, the endpoint's API, credentials and timeouts."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from inference.cards import CardPart
from inference.contracts import Task
from inference.settings import LOOPBACK

REMOTE_BACKEND = "remote"
"""The `backend` of cards with this part."""

NEVER_FORWARDED = frozenset({"audio", "functions", "function_call", "best_of", "moderation"})
"""Extras that are never passed on: they take effect in parts of an answer that are not returned, or change
the number of choices."""

InputKind = Literal["text", "image_url", "input_audio", "audio_url"]
"""Kinds of parts of a message's content."""


class RemoteApi(StrEnum):
    """The API that a remote endpoint serves."""

    AZURE_AI_INFERENCE = "azure-ai-inference"
    """This API: another instance of this app, or an endpoint of Azure AI."""
    AZURE_OPENAI = "azure-openai"
    OPENAI = "openai"
    """Any server compatible with OpenAI's."""


class RemoteCard(CardPart):
    """The endpoint of a `remote` deployment.

    It holds no secret: `key_setting` names the setting that does.
    """

    url: str = Field(
        description="The endpoint as its SDKs expect it: https://NAME.services.ai.azure.com/models, "
        "https://NAME.openai.azure.com, https://HOST/v1."
    )
    dialect: RemoteApi = Field(description="The API that the endpoint serves.")
    model: str = Field(
        "",
        pattern=r"^[A-Za-z0-9._:/@+-]*$",
        description="The endpoint's name for the model: the deployment of Azure OpenAI, else `model` in the "
        "body.",
    )
    api_version: str = Field(
        "",
        pattern=r"^([A-Za-z0-9.-]*)$",
        description="The `api-version` of requests. Default: the caller's for azure-ai-inference, 2024-10-21 "
        "for azure-openai, none for openai.",
    )
    key_setting: str = Field(
        "",
        pattern=r"^([A-Z][A-Z0-9_]*)?$",
        description="The NAME of the environment variable or app setting that holds the key.",
    )
    identity_scope: str = Field(
        "",
        description="Instead of a key: the scope of the tokens that the app's identity requests, such as "
        "https://cognitiveservices.azure.com/.default.",
    )
    timeout_seconds: float = Field(
        120,
        gt=0,
        le=3600,
        description="The longest wait for the next bytes of a response; without streaming, for the whole "
        "response.",
    )
    connect_seconds: float = Field(
        5, gt=0, le=60, description="The longest wait for a connection, new or from the pool."
    )
    connections: int = Field(100, ge=1, le=1000, description="The most connections at once.")
    retries: int = Field(
        2,
        ge=0,
        le=5,
        description="The most repetitions of a request that the endpoint did not start.",
    )
    stream_usage: bool | None = Field(
        None,
        description="Whether streams request their usage with `stream_options`. Default: true for "
        "azure-openai and openai, false for azure-ai-inference, which always sends it.",
    )

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("https", "http") or not parts.hostname:
            raise ValueError("expected https://HOST, with or without a path")
        if parts.query or parts.fragment or parts.username or parts.password:
            raise ValueError("a query, a fragment, a user name or a password is not allowed in it")
        return url.rstrip("/")

    @model_validator(mode="after")
    def _check_credentials(self) -> RemoteCard:
        if self.key_setting and self.identity_scope:
            raise ValueError("key_setting and identity_scope exclude each other")
        if self.dialect is not RemoteApi.AZURE_AI_INFERENCE and not self.model:
            raise ValueError(f"model is missing: {self.dialect} needs the name of the model")
        if (self.key_setting or self.identity_scope) and not self.is_secure:
            raise ValueError("a key or a token is sent over https only, or to localhost")
        return self

    @property
    def is_local(self) -> bool:
        """True if the endpoint is on this machine, and is reached without a proxy."""
        return urlsplit(self.url).hostname in LOOPBACK

    @property
    def is_secure(self) -> bool:
        """True if the connection is encrypted, or stays on this machine."""
        return self.url.startswith("https:") or self.is_local

    @property
    def requests_usage(self) -> bool:
        """True if streams request their usage with `stream_options`."""
        return (
            self.dialect is not RemoteApi.AZURE_AI_INFERENCE
            if self.stream_usage is None
            else self.stream_usage
        )


def remote_problems(
    backend: str, remote: RemoteCard | None, task: Task, *, any_extras: bool
) -> Iterator[str]:
    """Yield a sentence for each declaration of a remote model that the backend or the API cannot have."""
    if backend != REMOTE_BACKEND:
        if remote is not None:
            yield f"remote belongs to the backend {REMOTE_BACKEND}, not to {backend}"
        if any_extras:
            yield f"extras: any belongs to the backend {REMOTE_BACKEND}, not to {backend}"
    elif remote is None:
        yield "remote is missing: it names the endpoint"
    elif task is Task.IMAGE_EMBEDDINGS and remote.dialect is not RemoteApi.AZURE_AI_INFERENCE:
        yield f"remote.dialect: {remote.dialect} has no route for image embeddings"
    elif task is Task.RERANK and remote.dialect is RemoteApi.AZURE_OPENAI:
        yield f"remote.dialect: {remote.dialect} has no route for reranking"
