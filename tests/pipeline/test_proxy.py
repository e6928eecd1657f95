"""Requests for a model elsewhere, through the whole journey: the filter comes first, on both sides."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from inference.api.http_types import HttpRequest, HttpResponse, resolve
from inference.auth.authority import Authenticator
from inference.contracts import HarmCategory
from inference.registry.registry import Registry
from inference.registry.startup_phases import FIRST_RUN
from inference.safety.blocklist import Blocklist
from inference.safety.verdict import Verdict
from inference.service import Service
from inference.settings import Settings
from tests.backends.remote.remotes import MESSAGES
from tests.backends.remote.upstream import (
    TIMEOUT_SECONDS,
    Exchange,
    FakeEndpoint,
    Script,
    answering,
    chat,
    chunk,
    event,
    streaming,
    upstream,
)
from tests.http.pictures import data_url
from tests.safety.emulating import KEY, RULES, listening, server_of
from tests.support.responses import check_response, check_stream, events_of

BAD = [{"role": "user", "content": "Say the forbidden words."}]
FINE = answering(chat("fine"))
PICTURE = {"type": "image_url", "image_url": {"url": data_url()}}
SOUND = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}


def write(folder: Path, url: str, **card: Any) -> None:
    remote = {"url": url, "dialect": "openai", "model": "theirs"}
    whole = {"name": "far", "provider": "tests", "type": "chat-completions", "backend": "remote"}
    (folder / "far").mkdir(exist_ok=True)
    (folder / "far" / "model.json").write_text(json.dumps({**whole, "remote": remote, **card}))


@asynccontextmanager
async def serving(
    folder: Path, *scripts: Script, card: Any = None, **settings: str
) -> AsyncIterator[tuple[Service, FakeEndpoint]]:
    async with upstream(*scripts) as fake:
        write(folder, fake.url, **(card or {}))
        chosen = Settings.from_environment({"INFERENCE_MODELS": str(folder), **settings})
        made = Service(chosen, Registry(chosen), Authenticator.from_settings(chosen, loopback=True))
        assert not made.registry.broken
        try:
            yield made, fake
        finally:
            await made.aclose()


@pytest.fixture
def filtered(tmp_path: Path) -> dict[str, Any]:
    """The setting of a local judge."""
    rules = tmp_path / "rules.txt"
    rules.write_text("\n".join(RULES))
    return {"INFERENCE_CONTENT_SAFETY_BLOCKLIST_FILES": str(rules)}


async def post(service: Service, body: Any, path: str = "chat/completions", **headers: str) -> HttpResponse:
    async def read(_: int) -> bytes:
        return json.dumps(body).encode()

    async def gone() -> bool:
        return False

    return await service.answer(HttpRequest("POST", f"/{path}", resolve(path), headers, {}, read, gone))


async def asked(service: Service, path: str = "chat/completions", **body: Any) -> tuple[int, Any]:
    """Status and body; of a stream its text."""
    answer = await post(service, {"messages": MESSAGES, **body} if "chat" in path else body, path)
    if isinstance(answer.body, bytes):
        return answer.status, json.loads(answer.body)
    return answer.status, b"".join([piece async for piece in answer.body]).decode()


async def test_what_is_blocked_never_leaves(tmp_path: Path, filtered: dict[str, Any]) -> None:
    async with serving(tmp_path, FINE, **filtered) as (service, fake):
        for stream in (False, True):
            status, body = await asked(service, messages=BAD, stream=stream)
            assert (status, body["code"]) == (400, "content_filter")
        status, body = await asked(service, "completions", prompt="the forbidden words")
        assert (status, body["code"]) == (400, "content_filter")
        assert fake.connections == 0


@dataclass(slots=True)
class Verdicts:
    """A judge that takes its time."""

    begun: asyncio.Event = field(default_factory=asyncio.Event)
    given: asyncio.Event = field(default_factory=asyncio.Event)


@pytest.fixture
def verdicts(monkeypatch: pytest.MonkeyPatch) -> Verdicts:
    found, judge = Verdicts(), Blocklist.judge

    async def slow(*arguments: Any) -> Verdict:
        found.begun.set()
        await found.given.wait()
        return await judge(*arguments)

    monkeypatch.setattr(Blocklist, "judge", slow)
    return found


async def unsent(
    service: Service, fake: FakeEndpoint, verdicts: Verdicts, path: str, **body: Any
) -> tuple[int, Any]:
    """The answer, for which the endpoint is asked only when the verdict is given."""
    await service.registry.open(service.registry.get("far"), patience=TIMEOUT_SECONDS)
    request = asyncio.create_task(asked(service, path, **body))
    await asyncio.wait_for(verdicts.begun.wait(), TIMEOUT_SECONDS)
    for _ in range(100):
        await asyncio.sleep(0)
    assert fake.connections == 0
    verdicts.given.set()
    return await request


@pytest.mark.parametrize("stream", [False, True])
async def test_nothing_is_sent_before_the_verdict(
    tmp_path: Path, filtered: dict[str, Any], verdicts: Verdicts, stream: bool
) -> None:
    script = streaming([chunk("fine", reason="stop")]) if stream else FINE
    async with serving(tmp_path, script, **filtered) as (service, fake):
        status, _ = await unsent(service, fake, verdicts, "chat/completions", stream=stream)
        assert (status, len(fake.received)) == (200, 1)


async def test_embeddings_wait_for_the_verdict_too(
    tmp_path: Path, filtered: dict[str, Any], verdicts: Verdicts
) -> None:
    vectors = answering({"data": [{"index": 0, "embedding": [1, 2]}], "usage": {"prompt_tokens": 1}})
    async with serving(tmp_path, vectors, card={"type": "embeddings"}, **filtered) as (service, fake):
        status, body = await unsent(service, fake, verdicts, "embeddings", input="the forbidden words")
        assert (status, body["code"]) == (400, "content_filter")
        assert fake.connections == 0
        status, body = await asked(service, "embeddings", input="fine")
        assert (status, body["data"][0]["embedding"]) == (200, [1, 2])


HIDDEN = r"\u0066orbidden\nwords"


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{**MESSAGES[0], "name": "forbidden words"}]},
        {"messages": [{**MESSAGES[0], "cache": {"note": HIDDEN}}]},
        {"messages": [*MESSAGES, {"role": "assistant", "content": "a", "audio": {"transcript": HIDDEN}}]},
        {"prediction": {"type": "content", "content": HIDDEN}},
        {"web_search_options": {"user_location": {"city": HIDDEN}}},
        {"documents": [{"title": HIDDEN}]},
        {"anything": {"forbidden words": 1}},
        {"response_format": {"type": "json_object", "hint": HIDDEN}},
    ],
)
async def test_whatever_a_card_with_any_extras_hands_on_is_judged(
    tmp_path: Path, filtered: dict[str, Any], body: dict[str, Any]
) -> None:
    card = {"extras": "any", "parameters": {"response_format": {}}}
    async with serving(tmp_path, FINE, card=card, **filtered) as (service, fake):
        status, answer = await asked(service, "openai/v1/chat/completions", **body)
        assert (status, answer["code"]) == (400, "content_filter")
        assert fake.connections == 0


async def test_the_suffix_of_a_completion_is_judged(tmp_path: Path, filtered: dict[str, Any]) -> None:
    async with serving(tmp_path, FINE, card={"extras": "any"}, **filtered) as (service, fake):
        status, answer = await asked(service, "openai/v1/completions", prompt="a", suffix=HIDDEN)
        assert (status, answer["code"]) == (400, "content_filter")
        assert fake.connections == 0


@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_that_was_not_offered_is_not_shown(tmp_path: Path, stream: bool) -> None:
    calls = [
        {"index": number, "id": f"call_{number}", "function": {"name": name, "arguments": '{"a": 1}'}}
        for number, name in enumerate(("forbidden_words", "look"))
    ]
    message = {"role": "assistant", "content": None, "tool_calls": calls}
    whole = answering({"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]})
    script = streaming([chunk(tool_calls=calls), chunk("", reason="tool_calls")]) if stream else whole
    tools = [{"type": "function", "function": {"name": "look"}}]
    card: Any = {"parameters": {"tools": {}, "tool_choice": {}}}
    async with serving(tmp_path, script, card=card) as (service, _):
        status, answer = await asked(service, tools=tools, stream=stream)
    assert status == 200
    assert "look" in str(answer)
    assert "forbidden" not in str(answer)


async def test_what_is_said_is_judged_whole(tmp_path: Path, filtered: dict[str, Any]) -> None:
    async with serving(tmp_path, answering(chat("the forbidden words")), **filtered) as (service, _):
        _, body = await asked(service)
    (choice,) = body["choices"]
    assert (choice["finish_reason"], choice["message"]["content"]) == ("content_filter", "")
    assert body["usage"]["total_tokens"] == 8


async def test_a_blocked_stream_is_given_up_at_once(tmp_path: Path, filtered: dict[str, Any]) -> None:
    gone = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        await exchange.start()
        await exchange.send_chunk(event(chunk("A harmless sentence. " * 10)))
        await exchange.send_chunk(event(chunk("And now the forbidden words. " + "More of it. " * 20)))
        await exchange.disconnected()
        gone.set()

    async with serving(tmp_path, script, **filtered) as (service, _):
        status, text = await asked(service, stream=True)
        await asyncio.wait_for(gone.wait(), TIMEOUT_SECONDS)
    assert status == 200
    assert "forbidden" not in text
    assert '"finish_reason":"content_filter"' in text


async def test_a_blocked_choice_does_not_end_the_others(tmp_path: Path, filtered: dict[str, Any]) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.start()
        for _ in range(40):
            await exchange.send_chunk(event(chunk("Forbidden words follow here. ", index=0)))
            await exchange.send_chunk(event(chunk("A harmless sentence. ", index=1)))
        for index in range(2):
            await exchange.send_chunk(event(chunk("", index=index, reason="stop")))
        await exchange.send_chunk(b"data: [DONE]\n\n")
        await exchange.end()

    card: Any = {"extras": {"n": {}}}
    async with serving(tmp_path, script, card=card, **filtered) as (service, _):
        _, text = await asked(service, "openai/v1/chat/completions", stream=True, n=2)
    chunks = [json.loads(line[6:]) for line in text.split("\n") if line.startswith("data: {")]
    ends = {c["index"]: c["finish_reason"] for body in chunks for c in body["choices"] if c["finish_reason"]}
    said = "".join(c["delta"]["content"] for body in chunks for c in body["choices"] if c["index"] == 1)
    assert ends == {0: "content_filter", 1: "stop"}
    assert said == "A harmless sentence. " * 40


class TestParts:
    """Pictures and sound, where the card takes them."""

    CARD = {"inputs": ["text", "image_url", "input_audio"]}  # noqa: RUF012

    @staticmethod
    def messages(*parts: Any) -> list[Any]:
        return [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, *parts]}]

    async def test_without_a_filter_they_go_as_they_came(self, tmp_path: Path) -> None:
        far_away = {"type": "image_url", "image_url": {"url": "https://there.example/a.png", "detail": "low"}}
        told = self.messages(PICTURE, far_away, SOUND)
        async with serving(tmp_path, FINE, card=self.CARD) as (service, fake):
            status, _ = await asked(service, messages=told)
        assert status == 200
        assert fake.received[0].json["messages"] == told

    async def test_a_card_that_does_not_name_them_refuses(self, tmp_path: Path) -> None:
        async with serving(tmp_path, FINE, card={"inputs": ["text", "image_url"]}) as (service, fake):
            status, body = await asked(service, messages=self.messages(PICTURE, SOUND))
        assert status == 422
        assert body["detail"]["loc"] == ["body", "messages", 0, "content", 2]
        assert not fake.received

    async def test_sound_is_refused_while_there_is_a_filter(
        self, tmp_path: Path, filtered: dict[str, Any]
    ) -> None:
        async with serving(tmp_path, FINE, card=self.CARD, **filtered) as (service, fake):
            status, body = await asked(service, messages=self.messages(SOUND))
        assert (status, body["code"]) == (422, "Invalid input")
        assert body["detail"]["loc"] == ["body", "messages", 0, "content", 1]
        assert not fake.received

    async def test_pictures_are_judged_and_those_that_cannot_be_are_refused(self, tmp_path: Path) -> None:
        mild = server_of(picture=Verdict({HarmCategory.SEXUAL: 2}))
        rude = server_of(picture=Verdict({HarmCategory.SEXUAL: 6}))
        for server, expected in ((mild, 200), (rude, 400)):
            async with listening(server) as url:
                by: dict[str, Any] = {
                    "INFERENCE_CONTENT_SAFETY_ENDPOINT": url,
                    "INFERENCE_CONTENT_SAFETY_KEY": KEY,
                }
                limit: dict[str, Any] = {"INFERENCE_MAX_REQUEST_PIXELS": "100"}
                async with serving(tmp_path, FINE, card=self.CARD, **by, **limit) as (service, fake):
                    status, _ = await asked(service, messages=self.messages(PICTURE))
                    assert status == expected
                    assert len(fake.received) == (expected == 200)
                    linked = {"type": "image_url", "image_url": {"url": "https://there.example/a.png"}}
                    status, body = await asked(service, messages=self.messages(linked))
                    assert status == 422
                    assert "data URLs" in body["error"]["details"][0]["message"]
                    status, body = await asked(service, messages=self.messages(PICTURE, PICTURE))
                    assert (status, body["code"]) == (413, "request_too_large")
                    assert len(fake.received) == (expected == 200)


async def test_token_ids_cannot_be_judged_and_are_refused(tmp_path: Path, filtered: dict[str, Any]) -> None:
    text = answering({"choices": [{"index": 0, "text": "x", "finish_reason": "stop"}]})
    async with serving(tmp_path, text, **filtered) as (service, fake):
        status, body = await asked(service, "completions", prompt=[1, 2, 3])
        assert (status, body["detail"]["loc"]) == (422, ["body", "prompt"])
        assert not fake.received
    async with serving(tmp_path, text) as (service, fake):
        status, _ = await asked(service, "completions", prompt=[1, 2, 3])
        assert status == 200
        assert fake.received[0].json["prompt"] == [1, 2, 3]


async def test_limits_are_ours(tmp_path: Path) -> None:
    card: Any = {"extras": {"n": {}}}
    async with serving(tmp_path, FINE, card=card, INFERENCE_MAX_CHOICES="3") as (service, fake):
        status, body = await asked(service, "openai/v1/chat/completions", n=4)
        assert (status, body["error"]["param"]) == (400, "n")
        assert body["error"]["code"] == "integer_above_max_value"
        status, body = await asked(service, "completions", prompt=["a"] * 4)
        assert (status, body["detail"]["loc"]) == (413, ["body", "prompt"])
        assert not fake.received


async def test_an_empty_text_has_no_vector(tmp_path: Path) -> None:
    async with serving(tmp_path, FINE, card={"type": "embeddings"}) as (service, fake):
        status, body = await asked(service, "embeddings", input=["a", ""])
        assert (status, body["detail"]["loc"]) == (422, ["body", "input", 1])
        assert not fake.received


async def test_a_failure_before_the_first_event_has_a_status(tmp_path: Path) -> None:
    refusing = answering({"error": {"code": "busy", "message": "Later."}}, 429, {"Retry-After": "60"})
    async with serving(tmp_path, refusing) as (service, _):
        answer = await post(service, {"messages": MESSAGES, "stream": True})
    assert answer.status == 429
    assert answer.headers["Retry-After"] == "60"
    assert answer.headers["x-ms-error-code"] == "busy"


async def test_a_caller_who_leaves_a_stream_ends_it_there(tmp_path: Path) -> None:
    gone = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        await exchange.start()
        await exchange.send_chunk(event(chunk("a")))
        await exchange.disconnected()
        gone.set()

    async with serving(tmp_path, script) as (service, _):
        answer = await post(service, {"messages": MESSAGES, "stream": True})
        assert isinstance(answer.body, AsyncGenerator)
        await anext(answer.body)
        await answer.body.aclose()
        await asyncio.wait_for(gone.wait(), TIMEOUT_SECONDS)


async def test_a_caller_who_leaves_a_whole_answer_ends_it_there(tmp_path: Path) -> None:
    reached, gone = asyncio.Event(), asyncio.Event()

    async def script(exchange: Exchange) -> None:
        reached.set()
        await exchange.disconnected()
        gone.set()

    async def read(_: int) -> bytes:
        return json.dumps({"messages": MESSAGES}).encode()

    async def has_left() -> bool:
        return reached.is_set()

    async with serving(tmp_path, script) as (service, _):
        path = "chat/completions"
        answer = await service.answer(HttpRequest("POST", f"/{path}", resolve(path), {}, {}, read, has_left))
        await asyncio.wait_for(gone.wait(), TIMEOUT_SECONDS)
    assert answer.status == 499


def uses(service: Service) -> int:
    return service.registry._pool._entries["far"].uses


@pytest.mark.parametrize("stream", [False, True])
async def test_the_first_run_is_timed_and_the_lease_given_back(tmp_path: Path, stream: bool) -> None:
    script = streaming([chunk("a"), chunk("b", reason="stop")]) if stream else FINE
    async with serving(tmp_path, script) as (service, _):
        assert (await asked(service, stream=stream))[0] == 200
        phases = service.registry.startup_phases.body()["deployments"]["far"]
        assert {"import", "open", FIRST_RUN} == phases.keys()
        assert uses(service) == 0


@pytest.mark.parametrize("stream", [False, True])
async def test_a_failure_is_no_first_run_and_holds_nothing(tmp_path: Path, stream: bool) -> None:
    failing = answering({"error": {"code": "down", "message": "No."}}, 500)
    async with serving(tmp_path, failing) as (service, _):
        assert (await asked(service, stream=stream))[0] == 500
        assert FIRST_RUN not in service.registry.startup_phases.body()["deployments"]["far"]
        assert uses(service) == 0


async def test_a_stream_holds_its_lease_until_its_caller_leaves(tmp_path: Path) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.start()
        await exchange.send_chunk(event(chunk("a")))
        await exchange.disconnected()

    async with serving(tmp_path, script) as (service, _):
        answer = await post(service, {"messages": MESSAGES, "stream": True})
        assert isinstance(answer.body, AsyncGenerator)
        await anext(answer.body)
        assert uses(service) == 1
        await answer.body.aclose()
        assert uses(service) == 0


@pytest.mark.parametrize("stream", [False, True])
async def test_thoughts_have_a_place_in_later_versions_only(tmp_path: Path, stream: bool) -> None:
    if stream:
        thoughts = [chunk(reasoning_content="Hm."), chunk(reasoning_content=" So.")]
        script = streaming([*thoughts, chunk("Yes.", reason="stop")])
    else:
        message = {"role": "assistant", "reasoning_content": "Hm. So.", "content": "Yes."}
        script = answering({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
    async with serving(tmp_path, script, card={"reasoning": {"open": "[", "close": "]"}}) as (service, _):
        early, late = [
            texts(await asked(service, path, stream=stream), stream)
            for path in ("chat/completions", "openai/v1/chat/completions")
        ]
    assert early == ("[Hm. So.]Yes.", "")
    assert late == ("Yes.", "Hm. So.")


def texts(answer: tuple[int, Any], stream: bool) -> tuple[str, str]:
    """What was said and what was thought."""
    bodies = _chunks(answer[1]) if stream else [answer[1]]
    parts = [choice["delta" if stream else "message"] for body in bodies for choice in body["choices"]]
    return (
        "".join(part.get("content") or "" for part in parts),
        "".join(part.get("reasoning_content") or "" for part in parts),
    )


def _chunks(text: str) -> list[Any]:
    return [json.loads(line[6:]) for line in text.split("\n") if line.startswith("data: {")]


async def test_several_answers_to_several_prompts(tmp_path: Path) -> None:
    """The usage is told once for all of them, and counted once."""
    choices = [{"index": n, "text": f"text {n}", "finish_reason": "stop"} for n in range(4)]
    counts = {"prompt_tokens": 7, "completion_tokens": 8, "total_tokens": 15}
    script = answering({"choices": choices, "usage": counts})
    async with serving(tmp_path, script, card={"extras": {"n": {}}}) as (service, fake):
        path = "openai/v1/completions"
        status, body = await asked(service, path, model="far", prompt=["a", "b"], n=2, best_of=1)
        error = body["error"]
        assert (status, error["param"], error["code"]) == (400, "best_of", "invalid_value")
        status, body = await asked(service, path, model="far", prompt=["a", "b"], n=2)
    assert status == 200
    assert [choice["text"] for choice in body["choices"]] == [f"text {n}" for n in range(4)]
    assert body["usage"] == counts
    assert fake.received[0].json == {"model": "theirs", "prompt": ["a", "b"], "n": 2}


async def test_the_best_of_several_is_refused_before_anybody_is_asked(tmp_path: Path) -> None:
    async with serving(tmp_path, FINE, card={"extras": "any"}) as (service, fake):
        status, body = await asked(service, "openai/v1/completions", model="far", prompt="a", best_of=3)
        error = body["error"]
        assert (status, error["param"], error["code"]) == (400, "best_of", "unsupported_parameter")
        assert "best_of is not supported by far" in json.dumps(body)
        assert not fake.received


async def test_alternatives_need_log_probabilities(tmp_path: Path) -> None:
    card: Any = {"extras": {"logprobs": {}, "top_logprobs": {}}}
    async with serving(tmp_path, FINE, card=card) as (service, fake):
        status, body = await asked(service, "openai/v1/chat/completions", model="far", top_logprobs=2)
        error = body["error"]
        assert (status, error["param"], error["code"]) == (400, "top_logprobs", "invalid_value")
        assert not fake.received


async def test_silence_is_filled_for_the_caller(tmp_path: Path) -> None:
    heard = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        await heard.wait()
        await exchange.events(chunk("late", reason="stop"))

    async with serving(tmp_path, script, INFERENCE_HEARTBEAT_SECONDS="1") as (service, _):
        answer = await post(service, {"messages": MESSAGES, "stream": True})
        assert isinstance(answer.body, AsyncGenerator)
        first, beat = await anext(answer.body), await anext(answer.body)
        heard.set()
        rest = b"".join([piece async for piece in answer.body])
    assert b'"role":"assistant"' in first
    assert b'"content":""' in beat
    assert b"late" in rest


async def test_a_response_is_sent_on_as_a_chat_and_comes_back_as_a_response(tmp_path: Path) -> None:
    tool = {"type": "function", "name": "go", "parameters": {"type": "object"}}
    body = {
        "model": "far",
        "instructions": "Be brief.",
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}],
        "tools": [tool],
        "max_output_tokens": 5,
        "reasoning": {"effort": "low"},
    }
    card: dict[str, Any] = {
        "parameters": {"tools": {}, "tool_choice": {}, "max_tokens": {}},
        "extras": {"reasoning_effort": {}},
    }
    refusing = streaming([chunk(refusal="I "), chunk(refusal="cannot.", reason="stop")])
    kept = {"INFERENCE_RESPONSES": "memory"}
    async with serving(tmp_path, FINE, refusing, card=card, **kept) as (service, fake):
        status, response = await asked(service, "openai/v1/responses", **body)
        assert status == 200
        check_response(response)
        assert response["output"][0]["content"][0]["text"] == "fine"
        sent = fake.received[0].json
        assert sent["messages"] == [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi"},
        ]
        assert sent["tools"] == [
            {"type": "function", "function": {"name": "go", "parameters": {"type": "object"}}}
        ]
        assert (sent["max_tokens"], sent["reasoning_effort"]) == (5, "low")
        status, text = await asked(service, "openai/v1/responses", **body, stream=True)
        refused = check_stream(events_of(text.encode()))
        assert refused["output"][0]["content"] == [{"type": "refusal", "refusal": "I cannot."}]
