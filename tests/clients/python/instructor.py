"""Instructor.

`instructor.from_openai(OpenAI(base_url="http://127.0.0.1:7071/openai/v1", api_key=...))`. Its default mode
forces a call, `Mode.JSON_SCHEMA` asks for a form.
"""

from collections.abc import Iterable
from typing import Literal

import instructor
from expected import CITY, GREETING, REPORT
from openai import OpenAI
from pydantic import BaseModel, Field

LACKS = ("tools_with_form", "embeddings")
ASK = [{"role": "user", "content": "How is the weather in Paris?"}]


class Weather(BaseModel):
    city: str = Field(max_length=12)
    sky: Literal["clear", "rain"]
    degrees: int = Field(ge=-60, le=60)


class get_weather(BaseModel):  # noqa: N801 - the name of the tool
    """The weather of a city."""

    city: str


def client(endpoint, key, mode=instructor.Mode.TOOLS):
    openai = OpenAI(base_url=f"{endpoint}/openai/v1", api_key=key, max_retries=0)
    return instructor.from_openai(openai, mode=mode)


def create(endpoint, key, mode, model="former", **asked):
    completions = client(endpoint, key, mode).chat.completions
    return completions.create(model=model, messages=ASK, max_retries=0, **asked)


def case_plain(endpoint, key):
    answer = client(endpoint, key).chat.completions.create(model="greeter", messages=ASK, response_model=None)
    assert answer.choices[0].message.content == GREETING


def case_stream(endpoint, key):
    """A growing object, which is what the package streams."""
    stream = client(endpoint, key).chat.completions.create_partial(
        model="former", messages=ASK, response_model=Weather, max_retries=0
    )
    states = list(stream)
    assert len(states) > 1
    assert states[-1].model_dump() == REPORT


def case_tools(endpoint, key):
    """Any number of calls, of the tools that are classes."""
    mode = instructor.Mode.PARALLEL_TOOLS
    calls = create(endpoint, key, mode, "assistant", response_model=Iterable[get_weather])
    assert [call.model_dump() for call in calls] == [CITY]


def case_structured_output(endpoint, key):
    for mode in (instructor.Mode.TOOLS, instructor.Mode.TOOLS_STRICT, instructor.Mode.JSON_SCHEMA):
        assert create(endpoint, key, mode, response_model=Weather).model_dump() == REPORT


def case_json_modes(endpoint, key):
    for mode in (instructor.Mode.JSON, instructor.Mode.MD_JSON):
        assert create(endpoint, key, mode, response_model=Weather).model_dump() == REPORT


def case_retries(endpoint, key):
    """The endpoint holds random weights to the form, so that the package has nothing to ask for again."""
    found = create(endpoint, key, instructor.Mode.TOOLS, "babbler", response_model=Weather)
    assert isinstance(found, Weather)
