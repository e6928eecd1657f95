"""Prompt flow's tools.

`ServerlessConnection(api_key=..., api_base="http://127.0.0.1:7071/deployments/<deployment>")`,
`OpenAIConnection(api_key=..., base_url="http://127.0.0.1:7071/openai/v1")` or
`AzureOpenAIConnection(api_key=..., api_base="http://127.0.0.1:7071", ...)`.
"""

import json

from expected import CITY, DIMENSIONS, GREETING, REPORT
from promptflow.connections import AzureOpenAIConnection, OpenAIConnection, ServerlessConnection
from promptflow.tools.embedding import embedding
from promptflow.tools.exception import ExceedMaxRetryTimes, WrappedOpenAIError
from promptflow.tools.llm import llm

CHAT = "# system:\nBe kind.\n\n# user:\nSay {{what}}.\n"


def serverless(endpoint, key, deployment="greeter"):
    """An endpoint with one deployment; the connection adds `/v1` to it."""
    return ServerlessConnection(api_key=key, api_base=f"{endpoint}/deployments/{deployment}")


def of_each_kind(endpoint, key, deployment):
    """Connections, each with what names the deployment there."""
    yield serverless(endpoint, key, deployment), {}
    yield OpenAIConnection(api_key=key, base_url=f"{endpoint}/openai/v1"), {"model": deployment}
    azure = AzureOpenAIConnection(api_key=key, api_base=endpoint, api_version="2024-10-21")
    yield azure, {"deployment_name": deployment}


def case_plain(endpoint, key):
    assert llm(serverless(endpoint, key), CHAT, what="something") == GREETING


def case_chat_with_every_parameter(endpoint, key):
    answer = llm(
        serverless(endpoint, key), CHAT, what="something", temperature=0.5, top_p=0.9, max_tokens=20,
        stop=[], presence_penalty=0.1, frequency_penalty=0.1, logit_bias={}, seed=1,
    )  # fmt: skip
    assert answer == GREETING


def case_stream(endpoint, key):
    pieces = llm(serverless(endpoint, key), CHAT, what="something", stream=True)
    assert "".join(pieces) == GREETING


def case_completion(endpoint, key):
    answer = llm(serverless(endpoint, key), "Say {{what}}.", api="completion", what="something")
    assert answer == GREETING


def case_streamed_completion(endpoint, key):
    pieces = llm(serverless(endpoint, key), "Say it.", api="completion", stream=True)
    assert "".join(pieces) == GREETING


def case_endpoint_of_several(endpoint, key):
    connection = ServerlessConnection(api_key=key, api_base=endpoint)
    assert llm(connection, CHAT, model="greeter", what="something") == GREETING


WEATHER_TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def called(message):
    function = message["tool_calls"][0]["function"]
    return function["name"], json.loads(function["arguments"])


def case_tools(endpoint, key):
    """A call; the tool leaves its result to the flow."""
    connection = serverless(endpoint, key, "caller")
    message = llm(connection, CHAT, what="something", tools=[WEATHER_TOOL], tool_choice="auto")
    assert called(message) == ("get_weather", CITY)


def case_structured_output(endpoint, key):
    """JSON mode, the only form that the tool has."""
    form = {"type": "json_object"}
    answer = llm(serverless(endpoint, key, "former"), CHAT, what="JSON", response_format=form)
    assert json.loads(answer) == REPORT


def case_tools_with_form(endpoint, key):
    connection, form = serverless(endpoint, key, "agent"), {"type": "json_object"}
    message = llm(
        connection, CHAT, what="JSON", tools=[WEATHER_TOOL], tool_choice="auto", response_format=form
    )
    assert called(message) == ("get_weather", CITY)


def case_embeddings(endpoint, key):
    connection = OpenAIConnection(api_key=key, base_url=f"{endpoint}/openai/v1")
    assert len(embedding(connection, "a cat", model="tiny-embed")) == DIMENSIONS


def case_forced_tool(endpoint, key):
    function = {
        "name": "set_hour",
        "parameters": {
            "type": "object",
            "properties": {"hour": {"type": "integer", "minimum": 0, "maximum": 23}},
            "required": ["hour"],
            "additionalProperties": False,
        },
    }
    message = llm(
        serverless(endpoint, key, "babbler"),
        CHAT,
        what="something",
        tools=[{"type": "function", "function": function}],
        tool_choice={"type": "function", "function": {"name": "set_hour"}},
    )
    called = message["tool_calls"][0]["function"]
    assert called["name"] == "set_hour"
    assert 0 <= json.loads(called["arguments"])["hour"] <= 23


def case_json_mode_of_each_connection(endpoint, key):
    asked = {"type": "json_object"}
    for connection, named in of_each_kind(endpoint, key, "joker"):
        answer = llm(connection, CHAT, what="JSON", response_format=asked, **named)
        assert json.loads(answer) == {"joke": "Why not?", "laughs": 3}


def case_json_mode_is_refused(endpoint, key):
    """This deployment declares none; the tool repeats no 400."""
    try:
        llm(serverless(endpoint, key), CHAT, what="JSON", response_format={"type": "json_object"})
    except WrappedOpenAIError as refused:
        assert not isinstance(refused, ExceedMaxRetryTimes), refused
        assert "response_format: json_object is not supported by greeter" in str(refused)
    else:
        raise AssertionError("a format that the deployment lacks was taken")


def case_azure_connection(endpoint, key):
    connection = AzureOpenAIConnection(api_key=key, api_base=endpoint, api_version="2024-10-21")
    assert llm(connection, CHAT, deployment_name="greeter", what="something") == GREETING
    assert len(embedding(connection, "a cat", deployment_name="tiny-embed")) == DIMENSIONS


def case_openai_connection(endpoint, key):
    connection = OpenAIConnection(api_key=key, base_url=f"{endpoint}/openai/v1")
    assert llm(connection, CHAT, model="greeter", what="something") == GREETING
    assert len(embedding(connection, "a cat", model="tiny-embed")) == DIMENSIONS
