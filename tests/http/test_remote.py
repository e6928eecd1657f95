"""This app behind this app: a deployment elsewhere answers as one here does, to every client."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
from azure.ai.inference import ChatCompletionsClient, EmbeddingsClient, ImageEmbeddingsClient, load_client
from azure.ai.inference.models import ImageEmbeddingInput, UserMessage
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import HttpResponseError

from inference.conformance.check import probe_deployment
from inference.settings import Settings
from tests.http.pictures import data_url
from tests.http.servers import Server, running
from tests.http.zoo import GREETING, SHORTER, TOOL, write_several
from tests.support.decoders import CARD, write_decoder
from tests.support.encoders import DIMENSIONS

KEY = "upstream-secret-4711"
SAY: list[Any] = [UserMessage("Say something.")]
TOLD: Any = [{"role": "user", "content": "Say something."}]
DIALECTS = ("this", "openai", "azure")
Asking = Callable[[Callable[[openai.OpenAI, str], Any]], tuple[Any, Any]]
GUIDED: dict[str, Any] = {name: {} for name in ("guided_regex", "guided_choice", "guided_grammar")}
EXTRAS = {name: limits for name, limits in CARD["extras"].items() if name != "best_of"}


def write_remote(folder: Path, name: str, where: dict[str, Any], **card: Any) -> None:
    target = folder / name
    target.mkdir(parents=True)
    whole = {"name": name, "provider": "elsewhere", "type": "chat-completions", "backend": "remote"}
    described = {"parameters": CARD["parameters"], "extras": EXTRAS, "remote": where, **card}
    (target / "model.json").write_text(json.dumps({**whole, **described}))


def endpoints(url: str, model: str) -> dict[str, dict[str, Any]]:
    """The ways to speak with the same deployment."""
    key = {"key_setting": "UPSTREAM_KEY", "model": model}
    return {
        "this": {"url": url, "dialect": "azure-ai-inference", **key},
        "openai": {"url": f"{url}/openai/v1", "dialect": "openai", **key},
        "azure": {"url": url, "dialect": "azure-openai", **key},
    }


@pytest.fixture(scope="module")
def elsewhere(workplace: Path) -> Iterator[Server]:
    """The app that is asked by the app."""
    models = write_several(workplace / "elsewhere")
    write_decoder(models, name="held", card={"extras": GUIDED})
    with running(models, workplace / "elsewhere.log", INFERENCE_API_KEYS=KEY) as server:
        yield server


@pytest.fixture(scope="module")
def front(elsewhere: Server, workplace: Path) -> Iterator[Server]:
    folder = workplace / "front"
    called: dict[str, Any] = {"tools": {}, "tool_choice": {}}
    vectors: dict[str, Any] = {"dimensions": {}, "encoding_format": {}}
    sizes = {"dimensions": DIMENSIONS, "matryoshka": [SHORTER]}
    for word in DIALECTS:
        for model in ("greeter", "breaker", "tiny-chat"):
            write_remote(folder, f"{model}-{word}", endpoints(elsewhere.url, model)[word])
        write_remote(folder, f"held-{word}", endpoints(elsewhere.url, "held")[word], extras=GUIDED)
        caller = {**CARD["parameters"], **called}
        write_remote(folder, f"caller-{word}", endpoints(elsewhere.url, "caller")[word], parameters=caller)
        write_remote(
            folder,
            f"embed-{word}",
            endpoints(elsewhere.url, "tiny-embed")[word],
            type="embeddings",
            parameters=vectors,
            extras={},
            embedding=sizes,
        )
    this = endpoints(elsewhere.url, "tiny-images")["this"]
    write_remote(folder, "pictures", this, type="image-embeddings", parameters=vectors, extras={})
    write_remote(folder, "any", endpoints(elsewhere.url, "tiny-chat")["this"], extras="any")
    lost = {"url": "http://127.0.0.1:9", "dialect": "openai", "model": "x", "retries": 0}
    write_remote(folder, "lost", lost)
    wrong = {**endpoints(elsewhere.url, "greeter")["this"], "key_setting": "WRONG_KEY"}
    write_remote(folder, "locked-out", wrong)
    write_remote(folder, "keyless", {**wrong, "key_setting": "NO_SUCH_KEY"})
    settings = {"UPSTREAM_KEY": KEY, "WRONG_KEY": "not-the-key"}
    with running(folder, workplace / "front.log", **settings) as server:
        yield server


def azure(front: Server, name: str) -> ChatCompletionsClient:
    return ChatCompletionsClient(f"{front.url}/deployments/{name}", AzureKeyCredential("any"), retry_total=0)


def openai_of(front: Server, base: str = "/openai/v1", key: str = "any") -> openai.OpenAI:
    return openai.OpenAI(base_url=front.url + base, api_key=key, max_retries=0)


@pytest.mark.parametrize("word", DIALECTS)
def test_whole(front: Server, word: str) -> None:
    with azure(front, f"greeter-{word}") as client:
        answer = client.complete(messages=SAY)
    assert answer.choices[0].message.content == GREETING
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == f"greeter-{word}"
    assert len(answer.id) == 32
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0


@pytest.mark.parametrize("word", DIALECTS)
def test_streamed(front: Server, word: str) -> None:
    with azure(front, f"greeter-{word}") as client:
        updates: list[Any] = list(client.complete(messages=SAY, stream=True))
        whole = client.complete(messages=SAY)
    assert "".join(u.choices[0].delta.content or "" for u in updates) == GREETING
    assert len({u.id for u in updates}) == 1
    assert updates[-1].choices[0].finish_reason == "stop"
    assert updates[-1].usage == whole.usage
    # Event by event: what came in pieces is handed on in the same pieces.
    assert len(updates) > 8


@pytest.mark.parametrize("word", DIALECTS)
def test_openai_clients_see_openai(front: Server, word: str) -> None:
    with openai_of(front) as client:
        whole = client.chat.completions.create(model=f"greeter-{word}", messages=TOLD)
        told = {"include_usage": True}
        chunks: list[Any] = list(
            client.chat.completions.create(  # type: ignore[call-overload]
                model=f"greeter-{word}", messages=TOLD, stream=True, stream_options=told
            )
        )
        text = client.completions.create(model=f"greeter-{word}", prompt=["Say", "it"], max_tokens=3)
    assert whole.id.startswith("chatcmpl-")
    assert whole.choices[0].message.content == GREETING
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == GREETING
    assert chunks[-1].choices == []
    assert chunks[-1].usage == whole.usage
    assert [choice.index for choice in text.choices] == [0, 1]
    assert [choice.finish_reason for choice in text.choices] == ["length", "length"]


@pytest.mark.parametrize("word", DIALECTS)
@pytest.mark.parametrize("stream", [False, True])
def test_tools(front: Server, word: str, stream: bool) -> None:
    body: dict[str, Any] = {"tools": [TOOL], "tool_choice": "auto", "stream": stream}
    answer = front.chat(f"caller-{word}", **body)
    assert answer.status_code == 200, answer.text
    if not stream:
        message = answer.json()["choices"][0]["message"]
        (call,) = message["tool_calls"]
        assert message["content"] == "Let me look."
    else:
        deltas = [c["choices"][0]["delta"] for c in events(answer.text)]
        call = folded([d["tool_calls"][0] for d in deltas if "tool_calls" in d])
        assert "".join(d["content"] for d in deltas) == "Let me look."
    assert call["id"]
    assert call["function"]["name"] == "get_weather"
    assert json.loads(call["function"]["arguments"]) == {"city": "Paris"}


def events(text: str) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in text.split("\n") if line]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def folded(pieces: list[Any]) -> Any:
    function = {
        "name": pieces[0]["function"]["name"],
        "arguments": "".join(piece["function"]["arguments"] for piece in pieces),
    }
    return {**pieces[0], "function": function}


def test_a_conversation_with_past_calls_is_understood(front: Server) -> None:
    called: dict[str, Any] = {
        "id": "c1",
        "type": "function",
        "function": {"name": "get_weather", "arguments": {"city": "X"}},
    }
    messages = [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": None, "tool_calls": [called]},
        {"role": "tool", "tool_call_id": "c1", "content": "Rain."},
    ]
    for word in DIALECTS:
        answer = front.chat(f"caller-{word}", messages=messages, tools=[TOOL])
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("word", DIALECTS)
@pytest.mark.parametrize("stream", [False, True])
def test_choices_are_told_apart_and_parameters_arrive(
    front: Server, elsewhere: Server, word: str, stream: bool
) -> None:
    body: dict[str, Any] = {
        "n": 3,
        "seed": 7,
        "temperature": 1.5,
        "max_tokens": 12,
        "top_k": 40,
        "stream": stream,
    }
    ours = front.chat(f"tiny-chat-{word}", extra="pass-through", **body)
    theirs = elsewhere.post(
        "/deployments/tiny-chat/chat/completions",
        {"messages": TOLD, **body},
        headers={"extra-parameters": "pass-through", "api-key": KEY},
    )
    assert ours.status_code == theirs.status_code == 200, ours.text
    assert texts(ours.text, stream) == texts(theirs.text, stream)
    assert len(set(texts(ours.text, stream).values())) == 3
    counted = [answer.json() if not stream else events(answer.text)[-1] for answer in (ours, theirs)]
    assert counted[0]["usage"] == counted[1]["usage"]


def texts(text: str, stream: bool) -> dict[int, str]:
    if not stream:
        return {c["index"]: c["message"]["content"] for c in json.loads(text)["choices"]}
    said: dict[int, str] = {}
    for chunk in events(text):
        for choice in chunk["choices"]:
            said[choice["index"]] = said.get(choice["index"], "") + choice["delta"]["content"]
    return said


def test_the_default_temperature_is_that_of_this_api(front: Server, elsewhere: Server) -> None:
    """OpenAI's is 1, so a request without one must say 0.7 to an endpoint of OpenAI's kind."""
    told = {"messages": TOLD, "seed": 3, "max_tokens": 20}
    theirs = elsewhere.post("/deployments/tiny-chat/chat/completions", told, headers={"api-key": KEY})
    for word in DIALECTS:
        ours = front.chat(f"tiny-chat-{word}", seed=3, max_tokens=20)
        assert texts(ours.text, False) == texts(theirs.text, False)


class TestLogProbabilities:
    """What is told of every token is what the endpoint itself would have told its caller."""

    @pytest.fixture(params=DIALECTS)
    def both(self, front: Server, elsewhere: Server, request: pytest.FixtureRequest) -> Iterator[Asking]:
        """Asks the deployment here and the one there, and gives both answers."""
        with openai_of(front) as ours, openai_of(elsewhere, key=KEY) as theirs:
            yield lambda ask: (ask(ours, f"tiny-chat-{request.param}"), ask(theirs, "tiny-chat"))

    @pytest.mark.parametrize("stream", [False, True])
    @pytest.mark.parametrize("top", [None, 0, 3])
    def test_of_chats(self, both: Asking, stream: bool, top: int | None) -> None:
        asked: dict[str, Any] = {"seed": 5, "max_tokens": 12, "logprobs": True, "stream": stream}
        if top is not None:
            asked["top_logprobs"] = top
        ours, theirs = both(
            lambda client, model: tokens_of_chat(
                client.chat.completions.create(model=model, messages=TOLD, **asked)
            )
        )
        assert ours == theirs
        assert len(ours) > 3
        assert {len(one.top_logprobs) for one in ours} == {top or 0}

    @pytest.mark.parametrize("stream", [False, True])
    @pytest.mark.parametrize("echo", [False, True])
    @pytest.mark.parametrize("n", [1, 2])
    def test_of_texts(self, both: Asking, stream: bool, echo: bool, n: int) -> None:
        asked: dict[str, Any] = {"seed": 5, "max_tokens": 6, "logprobs": 2, "echo": echo, "n": n}
        asked["stream"] = stream
        ours, theirs = both(
            lambda client, model: tokens_of_text(
                client.completions.create(model=model, prompt=["Once", "Twice"], **asked)
            )
        )
        assert ours == theirs
        assert len(ours) == 2 * n
        assert ours[0]["text"].startswith("Once") is echo
        assert len(ours[0]["tokens"]) == (10 if echo else 6)
        assert (ours[0]["token_logprobs"][0] is None) is echo

    def test_nobody_is_told_unasked(self, front: Server) -> None:
        for word in DIALECTS:
            answer = front.chat(f"tiny-chat-{word}", max_tokens=2)
            assert answer.json()["choices"][0]["logprobs"] is None

    def test_any_extras_have_them_too(self, front: Server) -> None:
        answer = front.chat("any", extra="pass-through", max_tokens=2, logprobs=True, top_logprobs=1)
        assert len(answer.json()["choices"][0]["logprobs"]["content"]) == 2


def tokens_of_chat(answer: Any) -> list[Any]:
    chunks = list(answer) if isinstance(answer, openai.Stream) else [answer]
    choices = [choice for chunk in chunks for choice in chunk.choices]
    return [one for choice in choices if choice.logprobs for one in choice.logprobs.content]


def tokens_of_text(answer: Any) -> dict[int, dict[str, Any]]:
    """Of every choice its text, and the lists about its tokens."""
    found: dict[int, dict[str, Any]] = {}
    chunks = list(answer) if isinstance(answer, openai.Stream) else [answer]
    for choice in (choice for chunk in chunks for choice in chunk.choices):
        told = found.setdefault(choice.index, {"text": ""})
        told["text"] += choice.text
        for name, values in (choice.logprobs.model_dump() if choice.logprobs else {}).items():
            told.setdefault(name, []).extend(values)
    return found


@pytest.mark.parametrize("word", DIALECTS)
@pytest.mark.parametrize("encoding", ["float", "base64", "int8", "ubinary"])
def test_embeddings(front: Server, elsewhere: Server, word: str, encoding: str) -> None:
    body = {"input": ["one text", "another"], "encoding_format": encoding}
    ours = front.post(f"/deployments/embed-{word}/embeddings", body)
    theirs = elsewhere.post("/deployments/tiny-embed/embeddings", body, headers={"api-key": KEY})
    assert ours.status_code == 200, ours.text
    for ours_item, theirs_item in zip(ours.json()["data"], theirs.json()["data"], strict=True):
        assert ours_item == theirs_item
    assert ours.json()["usage"] == theirs.json()["usage"]
    assert ours.json()["model"] == f"embed-{word}"


def test_embeddings_of_clients(front: Server) -> None:
    with EmbeddingsClient(f"{front.url}/deployments/embed-this", AzureKeyCredential("any")) as client:
        long = client.embed(input=["a text"]).data[0].embedding
        query = client.embed(input=["a text"], input_type="query").data[0].embedding
        short = client.embed(input=["a text"], dimensions=SHORTER).data[0].embedding
    with openai_of(front) as other:
        same = other.embeddings.create(model="embed-openai", input="a text").data[0].embedding
    assert len(long) == DIMENSIONS
    assert np.allclose(long, same, atol=1e-7)
    assert query != long
    assert len(short) == SHORTER


def test_pictures(front: Server, elsewhere: Server) -> None:
    with ImageEmbeddingsClient(f"{front.url}/deployments/pictures", AzureKeyCredential("any")) as client:
        answer = client.embed(input=[ImageEmbeddingInput(image=data_url("red"))])
    body = {"input": [{"image": data_url("red")}]}
    theirs = elsewhere.post("/deployments/tiny-images/images/embeddings", body, headers={"api-key": KEY})
    assert answer.data[0].embedding == theirs.json()["data"][0]["embedding"]
    assert answer.usage.prompt_tokens == theirs.json()["usage"]["prompt_tokens"] > 0


def test_info_and_load_client(front: Server) -> None:
    with load_client(f"{front.url}/deployments/greeter-this", AzureKeyCredential("any")) as client:
        assert isinstance(client, ChatCompletionsClient)
        assert client.get_model_info().model_provider_name == "elsewhere"
    assert front.get("/deployments/any/info").json()["extras"] == "any"
    assert "extras" not in front.get("/deployments/greeter-this/info").json()


class TestExtras:
    """`extras: any` hands on what nobody here knows; the endpoint judges it."""

    def test_unknown_parameters_are_handed_on(self, front: Server) -> None:
        answer = front.chat("any", extra="pass-through", sparkle=[1, {"deep": None}])
        body = answer.json()
        # The endpoint is this app, which names what it does not know: the parameter did arrive.
        assert (answer.status_code, body["code"]) == (422, "parameter_not_supported")
        assert body["detail"] == {"loc": ["body", "sparkle"], "input": [1, {"deep": None}]}
        assert body["message"].startswith("The endpoint of any:")

    def test_so_are_known_ones(self, front: Server) -> None:
        answer = front.chat("any", extra="pass-through", n=2, max_tokens=2)
        assert len(answer.json()["choices"]) == 2

    def test_error_and_drop_are_as_ever(self, front: Server) -> None:
        refused = front.chat("any", sparkle=1)
        assert (refused.status_code, refused.json()["code"]) == (400, "extra_parameters_not_allowed")
        dropped = front.chat("any", extra="drop", sparkle=1)
        assert dropped.status_code == 200
        assert dropped.headers["x-ms-dropped-parameters"] == "sparkle"

    def test_openai_paths_hand_on_too(self, front: Server) -> None:
        with openai_of(front) as client, pytest.raises(openai.BadRequestError, match="sparkle"):
            client.chat.completions.create(model="any", messages=TOLD, extra_body={"sparkle": 1})

    def test_what_could_not_be_answered_is_refused_here(self, front: Server) -> None:
        headers = {"extra-parameters": "pass-through"}
        body = {"prompt": "x", "best_of": 3}
        answer = front.post("/deployments/any/completions", body, headers=headers)
        assert answer.status_code == 422
        assert answer.json()["detail"]["loc"] == ["body", "best_of"]
        (detail,) = answer.json()["error"]["details"]
        assert detail["message"] == "best_of is not supported by any"
        answer = front.chat("any", extra="pass-through", audio={"voice": "x"})
        assert answer.json()["detail"]["loc"] == ["body", "audio"]

    def test_undeclared_parameters_are_refused_here(self, front: Server) -> None:
        answer = front.chat("greeter-this", extra="pass-through", reasoning_effort="low")
        assert answer.json()["detail"]["loc"] == ["body", "reasoning_effort"]
        assert "endpoint" not in answer.json()["message"]


class TestRefusals:
    def test_places_and_codes_are_kept(self, front: Server) -> None:
        too_long = [{"role": "user", "content": "x" * 2000}]
        answer = front.chat("tiny-chat-this", messages=too_long)
        body = answer.json()
        assert (answer.status_code, body["code"]) == (422, "parameter_not_supported")
        assert body["detail"]["loc"] == ["body", "messages"]
        assert answer.headers["x-ms-error-code"] == "parameter_not_supported"

    def test_a_wrong_key_is_the_operators(self, front: Server) -> None:
        with azure(front, "locked-out") as client, pytest.raises(HttpResponseError) as caught:
            client.complete(messages=SAY)
        assert caught.value.status_code == 401
        assert caught.value.error is not None
        assert caught.value.error.code == "upstream_unauthorized"
        assert "not yours" in str(caught.value)
        assert "WWW-Authenticate" not in front.chat("locked-out").headers

    def test_a_missing_key_is_a_broken_deployment(self, front: Server) -> None:
        answer = front.chat("keyless")
        assert (answer.status_code, answer.json()["code"]) == (424, "deployment_broken")
        assert "NO_SUCH_KEY" in answer.json()["message"]

    @pytest.mark.parametrize("stream", [False, True])
    def test_nobody_there(self, front: Server, stream: bool) -> None:
        answer = front.chat("lost", stream=stream)
        assert (answer.status_code, answer.json()["code"]) == (503, "upstream_unreachable")
        assert int(answer.headers["Retry-After"]) > 0

    @pytest.mark.parametrize("word", DIALECTS)
    def test_a_failure_in_the_middle_ends_the_stream_as_one_here(self, front: Server, word: str) -> None:
        with openai_of(front) as client, pytest.raises(openai.APIError) as caught:
            for _ in client.chat.completions.create(model=f"breaker-{word}", messages=TOLD, stream=True):
                pass
        assert caught.value.code == "model_failed"
        whole = front.chat(f"breaker-{word}")
        assert (whole.status_code, whole.json()["code"]) == (424, "model_failed")


def test_a_rehearsal_asks_nobody(front: Server) -> None:
    answer = front.post(
        "/deployments/lost/chat/completions", {"messages": TOLD, "seed": 1}, headers={"x-dry-run": "true"}
    )
    assert answer.json() == {
        "object": "dry_run",
        "model": "lost",
        "status": 200,
        "code": None,
        "honoured": {"seed": 1},
        "dropped": [],
        "refused": [],
    }


def test_health(front: Server) -> None:
    front.chat("greeter-this")
    front.chat("keyless")
    states = front.get("/health").json()["deployments"]
    assert (states["greeter-this"], states["keyless"]) == ("open", "broken")


@pytest.mark.parametrize("word", DIALECTS)
async def test_the_card_can_be_proved(
    front: Server, workplace: Path, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    monkeypatch.setenv("UPSTREAM_KEY", KEY)
    settings = Settings(models=(workplace / "front",))
    for name in (f"tiny-chat-{word}", f"held-{word}", f"embed-{word}"):
        found = [verdict async for verdict in probe_deployment(name, settings)]
        assert [verdict for verdict in found if verdict.problem] == []
        assert len(found) > 2


def test_no_key_is_ever_written(front: Server) -> None:
    front.chat("greeter-this")
    front.chat("locked-out")
    said = front.log.read_text()
    assert KEY not in said
    assert "not-the-key" not in said
