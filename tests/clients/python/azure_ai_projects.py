"""Azure AI Projects, the SDK of Foundry, `get_openai_client()`.

`AIProjectClient(endpoint="http://127.0.0.1:7071/api/projects/<any name>", credential=...)`. The client that
it gives is OpenAI's, at `/api/projects/<any name>/openai/v1`. The credential's token is one of Entra, or a
key: an object whose `get_token(*scopes, **options)` returns `AccessToken(key, expires_on)`.
"""

import json
import time
from typing import Literal

from azure.ai.projects import AIProjectClient
from azure.core.credentials import AccessToken
from expected import CITY, DIMENSIONS, GREETING, RAIN, REPORT, SENTENCE
from pydantic import BaseModel, Field

ASK = "How is the weather in Paris?"
TOOL = {
    "type": "function",
    "name": "get_weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}


class Weather(BaseModel):
    city: str = Field(max_length=12)
    sky: Literal["clear", "rain"]
    degrees: int = Field(ge=-60, le=60)


class KeyAsToken:
    """A key where the SDK wants a credential; behind Entra `DefaultAzureCredential()` has this place."""

    def __init__(self, key):
        self.key = key

    def get_token(self, *scopes, **options):
        return AccessToken(self.key, int(time.time()) + 3600)


def client(endpoint, key):
    project = AIProjectClient(endpoint=f"{endpoint}/api/projects/weather", credential=KeyAsToken(key))
    return project.get_openai_client(max_retries=0)


def turns(made, model, **more):
    """The last of two turns, with a call between them."""
    asked = {"model": model, "tools": [TOOL], **more}
    first = made.responses.parse(input=ASK, **asked)
    (call,) = [item for item in first.output if item.type == "function_call"]
    assert json.loads(call.arguments) == CITY
    result = {"type": "function_call_output", "call_id": call.call_id, "output": RAIN}
    return made.responses.parse(input=[result], previous_response_id=first.id, **asked)


def case_plain(endpoint, key):
    answer = client(endpoint, key).responses.create(model="greeter", input=ASK)
    assert answer.output_text == GREETING


def case_stream(endpoint, key):
    events = list(client(endpoint, key).responses.create(model="greeter", input=ASK, stream=True))
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert len(deltas) > 1
    assert "".join(deltas) == GREETING
    assert events[-1].type == "response.completed"


def case_tools(endpoint, key):
    assert turns(client(endpoint, key), "assistant").output_text == SENTENCE


def case_structured_output(endpoint, key):
    answer = client(endpoint, key).responses.parse(model="former", input=ASK, text_format=Weather)
    assert answer.output_parsed == Weather(**REPORT)


def case_tools_with_form(endpoint, key):
    answer = turns(client(endpoint, key), "agent", text_format=Weather)
    assert answer.output_parsed == Weather(**REPORT)


def case_embeddings(endpoint, key):
    answer = client(endpoint, key).embeddings.create(model="tiny-embed", input=["a cat", "a house"])
    assert [len(item.embedding) for item in answer.data] == [DIMENSIONS, DIMENSIONS]


def case_chat(endpoint, key):
    messages = [{"role": "user", "content": ASK}]
    answer = client(endpoint, key).chat.completions.create(model="greeter", messages=messages)
    assert answer.choices[0].message.content == GREETING


def case_kept(endpoint, key):
    made = client(endpoint, key).responses
    first = made.create(model="greeter", input=ASK)
    assert made.retrieve(first.id).output_text == GREETING
    assert [item.content[0].text for item in made.input_items.list(first.id)] == [ASK]
    made.delete(first.id)
