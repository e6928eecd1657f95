"""The stages before a model is needed: which of several mistakes is refused, and the decisions that go on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from inference.api.chat import ChatRequest
from inference.auth.authority import Authenticator
from inference.backends.loaded_models import LoadedModel
from inference.cards.card import Card, Deployment
from inference.contracts import ApiStyle, Route
from inference.errors import (
    ApiError,
    ExtraParametersNotAllowed,
    InvalidExtraParametersHeader,
    InvalidInput,
    InvalidJson,
    NotFound,
    ParameterNotSupported,
    RequestTooLarge,
    Unauthorized,
    UnknownModel,
    UnsupportedApiVersion,
    UnsupportedMediaType,
)
from inference.pipeline.admission import AdmittedRequest, ResolvedRequest, admit, resolve_request
from inference.pipeline.extra_parameters import ExtraParametersPolicy
from inference.settings import Settings
from inference.telemetry.request_log import RequestTrace
from tests.support.cards import CHAT
from tests.support.exchanges import exchange_of, http_request

HI = [{"role": "user", "content": "hi"}]
DEPLOYMENT = Deployment(Card.model_validate(CHAT), Path("tiny-chat"))
SETTINGS = Settings(api_keys=("right",), max_body_bytes=60, max_messages=1)
KEYS = Authenticator.from_settings(SETTINGS, loopback=False)


@dataclass
class OneDeployment:
    """Chooses `tiny-chat`, and refuses every other name; notes the choices and opens nothing."""

    choices: list[tuple[Route, str | None, str | None]] = field(default_factory=list)

    def get(self, name: str) -> Deployment:
        raise AssertionError(f"{name} is chosen, not looked up")

    def choose(self, route: Route, *, fixed: str | None, model: str | None) -> Deployment:
        self.choices.append((route, fixed, model))
        if (fixed or model or "tiny-chat") != "tiny-chat":
            raise UnknownModel("Unknown model.")
        return DEPLOYMENT

    async def open(self, deployment: Deployment, *, patience: float) -> LoadedModel:
        raise AssertionError(f"{deployment.name} is opened for {patience} s")

    async def lease(self, deployment: Deployment, *, patience: float) -> Any:
        raise AssertionError(f"{deployment.name} is opened for {patience} s")


WRONG: dict[str, Any] = {
    "path": "chat/completion",
    "headers": {"api-key": "wrong", "extra-parameters": "maybe", "content-type": "text/plain"},
    "query": {"api-version": "latest"},
}
REPAIRS: list[tuple[type[ApiError], dict[str, Any]]] = [
    (Unauthorized, {"api-key": "right"}),
    (UnsupportedApiVersion, {"query": {}}),
    (InvalidExtraParametersHeader, {"extra-parameters": "error"}),
    (UnsupportedMediaType, {"content-type": "application/json; charset=utf-8"}),
    (RequestTooLarge, {"body": b"{" + b" " * 59}),
    (InvalidJson, {"body": b'{"messages": [1, 2], "model": "other"}'}),
    (RequestTooLarge, {"body": b'{"messages": [1], "model": "other"}'}),
    (NotFound, {"path": "chat/completions"}),
    (UnknownModel, {"body": b'{"messages": [1], "model": "tiny-chat"}'}),
]
"""The refusals in the order of the stages, each with the repair that uncovers the next."""


def repaired(count: int) -> dict[str, Any]:
    """Return a request with so many of its mistakes repaired."""
    parts: dict[str, Any] = {**WRONG, "headers": dict(WRONG["headers"]), "body": b"{" + b" " * 60}
    for _, repair in REPAIRS[:count]:
        for name, value in repair.items():
            (parts if name in parts else parts["headers"])[name] = value
    return parts


async def admitted(deployments: OneDeployment, path: str, body: Any, **parts: Any) -> AdmittedRequest:
    return await admit(exchange_of(http_request(path, body, **parts)), SETTINGS, deployments, KEYS)


@pytest.mark.parametrize("count", range(len(REPAIRS)), ids=[kind.__name__ for kind, _ in REPAIRS])
async def test_of_several_mistakes_the_earliest_stage_refuses(count: int) -> None:
    with pytest.raises(ApiError) as refusal:
        await admitted(OneDeployment(), **repaired(count))
    assert type(refusal.value) is REPAIRS[count][0]


async def test_a_request_without_mistakes_is_admitted_with_its_body_as_it_came() -> None:
    deployments = OneDeployment()
    exchange = exchange_of(http_request(**repaired(len(REPAIRS))))
    assert await admit(exchange, SETTINGS, deployments, KEYS) == AdmittedRequest(
        route=Route.CHAT,
        deployment=DEPLOYMENT,
        style=ApiStyle.NATIVE,
        version="2024-05-01-preview",
        policy=ExtraParametersPolicy.ERROR,
        body={"messages": [1], "model": "tiny-chat"},
        size=39,
    )
    assert deployments.choices == [(Route.CHAT, None, "tiny-chat")]
    assert exchange.trace.deployment == "tiny-chat"


async def test_a_caller_without_a_key_is_refused_before_its_body_is_read() -> None:
    async def read(_: int) -> bytes:
        raise AssertionError("the body is read")

    http = http_request("chat/completions", headers={"api-key": "wrong"})
    unread = exchange_of(type(http)(http.method, http.path, http.target, http.headers, {}, read, http.gone))
    with pytest.raises(Unauthorized):
        await admit(unread, SETTINGS, OneDeployment(), KEYS)
    assert unread.trace.deployment == "-"


async def test_under_the_openai_paths_version_and_extra_parameters_are_not_read() -> None:
    request = await admitted(
        OneDeployment(),
        "openai/v1/chat/completions",
        {"messages": HI},
        headers={"api-key": "right", "extra-parameters": "maybe"},
        query={"api-version": "latest"},
    )
    assert (request.style, request.version) == (ApiStyle.OPENAI, "openai")
    assert request.policy is ExtraParametersPolicy.NATIVE


@pytest.mark.parametrize(
    ("path", "headers", "fixed"),
    [
        ("chat/completions", {}, None),
        ("deployments/tiny-chat/chat/completions", {}, "tiny-chat"),
        ("chat/completions", {"azureml-model-deployment": "tiny-chat"}, "tiny-chat"),
        ("chat/completions", {"x-ms-model-mesh-model-name": "tiny-chat"}, "tiny-chat"),
        ("deployments/tiny-chat/chat/completions", {"azureml-model-deployment": "b"}, "tiny-chat"),
    ],
)
async def test_a_deployment_is_fixed_by_the_path_or_else_by_a_header(
    path: str, headers: dict[str, str], fixed: str | None
) -> None:
    deployments = OneDeployment()
    await admitted(deployments, path, {"messages": HI}, headers={"api-key": "right", **headers})
    assert deployments.choices == [(Route.CHAT, fixed, None)]


@pytest.mark.parametrize("model", [5, ["tiny-chat"], "", None])
async def test_a_model_that_is_no_name_is_left_to_validation(model: Any) -> None:
    deployments = OneDeployment()
    body = {"model": model}
    request = await admitted(deployments, "chat/completions", body, headers={"api-key": "right"})
    assert deployments.choices == [(Route.CHAT, None, None)]
    assert request.body == ({} if model is None else body)


@pytest.mark.parametrize(
    "content_type",
    ["", "application/json", "Application/JSON; charset=utf-8", "application/merge-patch+json"],
)
async def test_a_body_declared_as_json_or_not_at_all_is_read(content_type: str) -> None:
    headers = {"api-key": "right", "content-type": content_type}
    assert (await admitted(OneDeployment(), "chat/completions", {}, headers=headers)).body == {}


def resolved(
    body: dict[str, Any], policy: str = "error", trace: RequestTrace | None = None
) -> tuple[ChatRequest, ResolvedRequest]:
    """Return a body's request under a policy."""
    admitted = AdmittedRequest(
        Route.CHAT, DEPLOYMENT, ApiStyle.NATIVE, "2024-05-01-preview", ExtraParametersPolicy(policy), body, 7
    )
    return resolve_request(ChatRequest, admitted, trace or RequestTrace.start("POST", "/", {}))


def refused(body: dict[str, Any], policy: str = "error") -> tuple[type[ApiError], list[Any]]:
    with pytest.raises(ApiError) as refusal:
        resolved(body, policy)
    return type(refusal.value), [(one.loc, one.input) for one in refusal.value.offenders]


def test_extra_parameters_are_refused_before_values_and_values_before_capabilities() -> None:
    wrong = {"messages": HI, "seed": "x", "top_p": 0.5, "colour": 1}
    assert refused(wrong) == (ExtraParametersNotAllowed, [(("body", "colour"), 1)])
    del wrong["colour"]
    assert refused(wrong) == (InvalidInput, [(("body", "seed"), "x")])
    wrong["seed"] = 1
    assert refused(wrong) == (ParameterNotSupported, [(("body", "top_p"), 0.5)])
    del wrong["top_p"]
    assert resolved(wrong)[0].seed == 1


def test_passed_through_parameters_that_no_card_declares_are_refused_before_values() -> None:
    wrong = {"messages": HI, "seed": "x", "colour": 1}
    assert refused(wrong, "pass-through") == (ParameterNotSupported, [(("body", "colour"), 1)])


def test_drop_leaves_out_unknown_names_first_and_then_parameters_that_cannot_be_honoured() -> None:
    trace = RequestTrace.start("POST", "/", {})
    body = {"top_p": 0.5, "messages": HI, "colour": 1, "seed": 1, "frequency_penalty": 1, "mood": 2}
    request, decisions = resolved(body, "drop", trace)
    assert decisions.dropped == trace.dropped == ("colour", "mood", "top_p", "frequency_penalty")
    assert decisions.body == {"messages": HI, "seed": 1}
    assert (request.seed, request.top_p, request.frequency_penalty) == (1, None, None)
    assert decisions.headers == {
        "x-ms-served-model": "tiny-chat",
        "x-ms-dropped-parameters": "colour, mood, top_p, frequency_penalty",
    }


def test_drop_saves_no_value_that_breaks_the_schema() -> None:
    assert refused({"messages": HI, "top_p": "x"}, "drop") == (InvalidInput, [(("body", "top_p"), "x")])


def test_drop_leaves_out_no_input_that_the_model_does_not_take() -> None:
    part = {"type": "image_url", "image_url": {"url": "data:,a"}}
    body = {"messages": [{"role": "user", "content": [part]}], "top_p": 0.5}
    assert refused(body, "drop") == (
        ParameterNotSupported,
        [(("body", "messages", 0, "content", 0), part)],
    )


def test_the_decisions_about_a_request_are_handed_on() -> None:
    body = {"messages": HI, "seed": 1}
    assert resolved(body)[1] == ResolvedRequest(
        route=Route.CHAT,
        deployment=DEPLOYMENT,
        style=ApiStyle.NATIVE,
        version="2024-05-01-preview",
        dropped=(),
        size=7,
        body=body,
    )


def test_labels_become_a_digest_in_the_trace_unless_they_are_dropped() -> None:
    body = {"messages": HI, "user": "me", "metadata": {"a": "b"}}
    trace, labelled = RequestTrace.start("POST", "/", {}), RequestTrace.start("POST", "/", {})
    labelled.record_labels({"user": "me", "metadata": {"a": "b"}})
    request, decisions = resolved(body, "pass-through", trace)
    assert trace.label == labelled.label != "-"
    assert (request.user, decisions.dropped) == ("me", ())
    trace = RequestTrace.start("POST", "/", {})
    assert resolved(body, "drop", trace)[1].dropped == ("user", "metadata")
    assert trace.label == "-"


def dropped_header(*names: str) -> str:
    decisions = ResolvedRequest(Route.CHAT, DEPLOYMENT, ApiStyle.NATIVE, "openai", names, 0)
    return decisions.headers["x-ms-dropped-parameters"]


def test_dropped_names_are_quoted_as_a_header_can_hold_them() -> None:
    names = ("plain", "a, b", "a\r\nx-forged: 1", "größe", "a/b", "")
    assert dropped_header(*names) == (
        "plain, a%2C%20b, a%0D%0Ax-forged%3A%201, gr%C3%B6%C3%9Fe, a%2Fb, %22%22"
    )


def test_the_empty_name_and_long_names_fit_into_a_header() -> None:
    assert dropped_header("") == "%22%22"
    assert dropped_header("", "") == "%22%22, %22%22"
    assert dropped_header("n" * 9_000) == "n" * 100 + "..."
    assert dropped_header("\U0001f600" * 9_000) == "%F0%9F%98%80" * 100 + "..."
    assert dropped_header("\ud800") == "%3F"


def test_a_long_list_of_dropped_names_is_cut_between_names() -> None:
    fitting = ["n" * 98] * 40
    assert dropped_header(*fitting) == ", ".join(fitting)
    assert len(dropped_header(*fitting)) == 3998
    assert dropped_header(*fitting, "more") == ", ".join(fitting) + ", ..."
    assert dropped_header(*fitting[:-1], "n" * 101) == ", ".join(fitting[:-1]) + ", ..."


def test_a_request_of_which_nothing_is_dropped_names_its_deployment_alone() -> None:
    decisions = ResolvedRequest(Route.CHAT, DEPLOYMENT, ApiStyle.NATIVE, "openai", (), 0)
    assert decisions.headers == {"x-ms-served-model": "tiny-chat"}
    assert decisions.card is DEPLOYMENT.card


def test_drop_leaves_out_keys_below_the_root_and_names_their_paths() -> None:
    trace = RequestTrace.start("POST", "/", {})
    message = {"role": "user", "content": "hi", "mood": "good", "name": "me"}
    body = {"messages": [message], "stream_options": {"speed": 2}, "colour": 1, "top_p": 0.5}
    options = {"type": "json_object", "size": 3}
    request, decisions = resolved({**body, "response_format": options}, "drop", trace)
    kept = {"role": "user", "content": "hi", "name": "me"}
    assert decisions.body == {"messages": [kept]}
    assert request.messages[0].model_extra == {}
    assert (
        decisions.dropped
        == trace.dropped
        == (
            "stream_options",
            "colour",
            "messages[0].mood",
            "top_p",
            "response_format",
        )
    )
    assert decisions.headers["x-ms-dropped-parameters"] == (
        "stream_options, colour, messages[0].mood, top_p, response_format"
    )
    assert message["mood"] == "good"


def test_an_effort_of_none_is_taken_by_all_and_reported_where_the_model_reasons_all_the_same() -> None:
    body = {"messages": HI, "reasoning_effort": "none"}
    assert resolved(body)[1].dropped == ()
    reasoning = {**CHAT, "reasoning": {}}
    switch = {"template": {"none": {"think": False}, "high": {"think": True}}}
    for card, dropped in (
        (reasoning, ("reasoning_effort",)),
        ({**reasoning, "extras": {"reasoning_effort": switch}}, ()),
    ):
        deployment = Deployment(Card.model_validate(card), Path("tiny-chat"))
        admitted = AdmittedRequest(
            Route.CHAT, deployment, ApiStyle.OPENAI, "openai", ExtraParametersPolicy.NATIVE, body, 2
        )
        found = resolve_request(ChatRequest, admitted, RequestTrace.start("POST", "/", {}))[1]
        assert found.dropped == dropped
