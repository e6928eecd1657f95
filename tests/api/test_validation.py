"""From bytes to typed requests, and where the fault lies when that fails."""

from typing import Any

import pytest

from inference.api.chat import ChatRequest
from inference.api.completions import CompletionRequest
from inference.api.embeddings import EmbeddingsRequest, ImageEmbeddingsRequest
from inference.api.messages import text_of
from inference.api.offenders import LONGEST_INPUT, abridged
from inference.api.validation import Request, nested_extras, path_of, read_object, size_of, validate, without
from inference.errors import InvalidInput, InvalidJson

USER = {"role": "user", "content": "hi"}


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "EOF"),
        (b"{", "EOF"),
        (b"[]", "an array"),
        (b'"text"', "a string"),
        (b"3", "a number"),
        (b"null", "null"),
        (b"true", "a boolean"),
        (b'{"a": NaN}', "not valid JSON"),
        (b'{"a": "\\ud800"}', "not valid JSON"),
        (b'{"a": "\xff"}', "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
    ],
)
def test_what_is_no_json_object_is_refused(body: bytes, sentence: str) -> None:
    with pytest.raises(InvalidJson, match=sentence):
        read_object(body)


def test_null_is_absent() -> None:
    assert read_object(b'{"a": null, "b": {"c": null}}') == {"b": {"c": None}}


def offenders(shape: type[Request], body: dict[str, Any]) -> list[tuple[tuple[str | int, ...], Any]]:
    with pytest.raises(InvalidInput) as refusal:
        validate(shape, body)
    return [(offender.loc[1:], offender.input) for offender in refusal.value.offenders]


@pytest.mark.parametrize(
    ("body", "loc", "value"),
    [
        ({}, ("messages",), {}),
        ({"messages": []}, ("messages",), []),
        ({"messages": "hi"}, ("messages",), "hi"),
        ({"messages": [USER], "temperature": 2.1}, ("temperature",), 2.1),
        ({"messages": [USER], "temperature": "1"}, ("temperature",), "1"),
        ({"messages": [USER], "temperature": True}, ("temperature",), True),
        ({"messages": [USER], "max_tokens": 1.5}, ("max_tokens",), 1.5),
        ({"messages": [USER], "seed": 2**63}, ("seed",), 2**63),
        ({"messages": [USER], "stream": 1}, ("stream",), 1),
        ({"messages": [USER], "stop": ["a", 3]}, ("stop", 1), 3),
        ({"messages": [USER], "stop": 3}, ("stop",), 3),
        ({"messages": [{"content": "hi"}]}, ("messages", 0, "role"), {"content": "hi"}),
        ({"messages": [{"role": "dog", "content": "hi"}]}, ("messages", 0, "role"), "dog"),
        ({"messages": [{"role": "user"}]}, ("messages", 0, "content"), {"role": "user"}),
        ({"messages": [{"role": "user", "content": 5}]}, ("messages", 0, "content"), 5),
        ({"messages": [USER], "tool_choice": "maybe"}, ("tool_choice",), "maybe"),
        (
            {"messages": [USER], "tool_choice": {"type": "function"}},
            ("tool_choice", "function"),
            {"type": "function"},
        ),
        ({"messages": [USER], "response_format": "xml"}, ("response_format",), "xml"),
        ({"messages": [USER], "response_format": {"type": "xml"}}, ("response_format", "type"), "xml"),
        (
            {"messages": [USER], "response_format": {"type": "json_schema", "json_schema": {"name": "a"}}},
            ("response_format", "json_schema", "schema"),
            {"name": "a"},
        ),
        (
            {"messages": [USER], "tools": [{"type": "function", "function": {"name": "a b"}}]},
            ("tools", 0, "function", "name"),
            "a b",
        ),
        ({"messages": [USER], "logit_bias": {"5": 101}}, ("logit_bias", "5"), 101),
    ],
)
def test_a_fault_of_a_chat_request_is_named_with_place_and_value(
    body: dict[str, Any], loc: tuple[str | int, ...], value: Any
) -> None:
    assert offenders(ChatRequest, body) == [(loc, value)]


@pytest.mark.parametrize(
    ("part", "loc"),
    [
        ({"text": "a"}, ("type",)),
        ({"type": "video"}, ("type",)),
        ({"type": "text"}, ("text",)),
        ({"type": "image_url"}, ("image_url",)),
        ({"type": "image_url", "image_url": {}}, ("image_url", "url")),
        ({"type": "image_url", "image_url": {"url": "x", "detail": "max"}}, ("image_url", "detail")),
    ],
)
def test_a_fault_of_a_part_is_named_to_its_key(part: dict[str, Any], loc: tuple[str, ...]) -> None:
    body = {"messages": [USER, {"role": "user", "content": [part]}]}
    assert [found for found, _ in offenders(ChatRequest, body)] == [("messages", 1, "content", 0, *loc)]


@pytest.mark.parametrize(
    ("value", "loc"),
    [
        ([], ()),
        (5, ()),
        ([""] * 2 + [3], (2,)),
        ([1, -1], (1,)),
        ([1, "a"], (1,)),
        ([[1], []], (1,)),
        ([[1], [2, None]], (1, 1)),
        ({"a": 1}, ()),
    ],
)
def test_a_fault_in_a_list_of_texts_or_tokens_is_named_to_its_index(value: Any, loc: tuple[int, ...]) -> None:
    assert [found for found, _ in offenders(EmbeddingsRequest, {"input": value})] == [("input", *loc)]


CALLED = {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": 5}}]}


@pytest.mark.parametrize(
    ("body", "code", "sentence"),
    [
        ({}, "missing_required_parameter", "messages: is required, but missing"),
        ({"messages": []}, "empty_array", "messages: must not be empty"),
        ({"messages": "hi"}, "invalid_type", "messages: must be an array, not 'hi'"),
        ({"messages": [5]}, "invalid_type", "messages[0]: must be an object, not 5"),
        (
            {"messages": [{"content": "hi"}]},
            "missing_required_parameter",
            "messages[0].role: is required, but missing",
        ),
        (
            {"messages": [{"role": "user", "content": 5}]},
            "invalid_type",
            "messages[0].content: must be a string or an array of parts, not 5",
        ),
        (
            {"messages": [CALLED]},
            "invalid_type",
            "messages[0].tool_calls[0].function.arguments: must be a string or an object, not 5",
        ),
        ({"temperature": 5}, "decimal_above_max_value", "temperature: 5 is more than 2"),
        ({"temperature": -0.1}, "decimal_below_min_value", "temperature: -0.1 is less than 0"),
        ({"temperature": "hot"}, "invalid_type", "temperature: must be a number, not 'hot'"),
        ({"temperature": "x" * 100}, "invalid_type", "temperature: must be a number, not a string"),
        ({"temperature": True}, "invalid_type", "temperature: must be a number, not a boolean"),
        ({"n": 129}, "integer_above_max_value", "n: 129 is more than 128"),
        ({"seed": 2**63}, "integer_above_max_value", f"seed: {2**63} is more than {2**63 - 1}"),
        ({"max_tokens": -1}, "integer_below_min_value", "max_tokens: -1 is less than 0"),
        ({"max_tokens": 1.5}, "invalid_type", "max_tokens: must be an integer, not 1.5"),
        ({"stop": 3}, "invalid_type", "stop: must be a string or an array of strings, not 3"),
        ({"stop": ["a", None]}, "invalid_type", "stop[1]: must be a string, not null"),
        ({"stream": 1}, "invalid_type", "stream: must be a boolean, not 1"),
        ({"metadata": []}, "invalid_type", "metadata: must be an object, not an array"),
        ({"guided_regex": ""}, "empty_string", "guided_regex: must not be empty"),
        (
            {"tools": [{"type": "function", "function": {"name": "a b"}}]},
            "invalid_value",
            "tools[0].function.name: 'a b' does not match ^[a-zA-Z0-9_-]{1,64}$",
        ),
        (
            {"verbosity": "vast"},
            "invalid_value",
            "verbosity: must be one of 'low', 'medium' or 'high', not 'vast'",
        ),
        (
            {"response_format": {"type": "xml"}},
            "invalid_value",
            "response_format.type: must be one of 'text', 'json_object', 'json_schema', not 'xml'",
        ),
        ({"logit_bias": {"5": 101}}, "decimal_above_max_value", "logit_bias.5: 101 is more than 100"),
    ],
)
def test_a_fault_has_the_code_of_openai_and_a_sentence_with_place_and_limit(
    body: dict[str, Any], code: str, sentence: str
) -> None:
    with pytest.raises(InvalidInput) as refusal:
        validate(ChatRequest, {"messages": [USER], **body} if body else {})
    (offender,) = refusal.value.offenders
    assert (offender.code, offender.sentence, str(refusal.value)) == (code, sentence, sentence)


def test_every_offender_is_listed() -> None:
    body = {"messages": [USER], "temperature": 9, "top_p": -1, "n": 0}
    assert [loc for loc, _ in offenders(ChatRequest, body)] == [("temperature",), ("top_p",), ("n",)]


def test_pictures_need_an_image() -> None:
    assert offenders(ImageEmbeddingsRequest, {"input": [{"text": "a"}]}) == [
        (("input", 0, "image"), {"text": "a"})
    ]


def test_the_default_prompt_is_the_reference_one() -> None:
    assert validate(CompletionRequest, {}).prompt == "<|endoftext|>"


def test_nested_keys_nobody_knows_are_tolerated() -> None:
    body = {"messages": [{**USER, "name": "Ann", "mood": {"good": True}}]}
    assert validate(ChatRequest, body).messages[0].role == "user"


def test_empty_is_absent_where_prompt_flow_sends_it() -> None:
    request = validate(ChatRequest, {"messages": [USER], "stop": [], "logit_bias": {}})
    assert request.stop is None
    assert request.logit_bias is None


def test_text_parts_are_joined_with_a_newline() -> None:
    content = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    request = validate(ChatRequest, {"messages": [{"role": "user", "content": content}]})
    assert text_of(request.messages[0].content) == "a\nb"


def test_past_arguments_may_be_an_object_or_a_text() -> None:
    calls = [
        {"id": "1", "type": "function", "function": {"name": "f", "arguments": arguments}}
        for arguments in ({"a": 1}, '{"a": 1}')
    ]
    request = validate(ChatRequest, {"messages": [USER, {"role": "assistant", "tool_calls": calls}]})
    assert [call.function.arguments for call in request.messages[1].tool_calls] == [{"a": 1}, '{"a": 1}']  # type: ignore[union-attr]


@pytest.mark.parametrize("value", [10**40, [10**40], {"a": [10**40]}])
def test_numbers_no_json_writer_takes_are_repeated_as_text(value: Any) -> None:
    assert abridged(value) == str(value)


def test_long_values_are_cut() -> None:
    assert abridged("a" * 10_000) == "a" * LONGEST_INPUT + "..."
    assert abridged(["ok"]) == ["ok"]


def test_unknown_keys_below_the_root_have_their_locations() -> None:
    function = {"name": "f", "parameters": {"any": 1}, "mood": "good", "strict": True}
    call = {"id": "c", "type": "function", "index": 0, "function": {"name": "f", "arguments": {"any": 1}}}
    body = {
        "messages": [
            {"role": "user", "name": "me", "content": [{"type": "text", "text": "a", "size": 4}]},
            {"role": "assistant", "tool_calls": [call], "mood": "good", "audio": None, "annotations": []},
        ],
        "tools": [{"type": "function", "function": function, "cost": 0}],
        "stream_options": {"include_usage": True, "speed": []},
        "response_format": {"type": "text", "size": {}},
        "metadata": {"any": "key"},
        "odd": 1,
    }
    found = {path_of(loc): value for loc, value in nested_extras(validate(ChatRequest, body), body)}
    assert found == {
        "messages[0].content[0].size": 4,
        "messages[1].mood": "good",
        "tools[0].function.mood": "good",
        "tools[0].cost": 0,
        "stream_options.speed": [],
        "response_format.size": {},
    }


def test_keys_are_left_out_of_a_copy() -> None:
    body = {"a": [{"b": 1, "c": 2}, {"b": 3}], "d": 4, "e": {"f": 5}}
    locations = [("body", "a", 0, "b"), ("body", "a", 0, "c"), ("body", "d"), ("body", "e", "f")]
    assert without(body, locations) == {"a": [{}, {"b": 3}], "e": {}}
    assert body == {"a": [{"b": 1, "c": 2}, {"b": 3}], "d": 4, "e": {"f": 5}}


@pytest.mark.parametrize(
    "message",
    [
        {"role": "assistant", "tool_calls": [{"id": None, "type": None, "function": {"name": "f"}}]},
        {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": None}}]},
        {"role": "assistant", "content": None, "tool_calls": None, "refusal": None, "name": None},
        {"role": "assistant", "content": "a", "audio": None, "function_call": None, "annotations": None},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "a", "detail": None}}]},
    ],
)
def test_null_is_absent_in_messages_too(message: dict[str, Any]) -> None:
    body = {"messages": [message]}
    assert list(nested_extras(validate(ChatRequest, body), body)) == []


def test_reasoning_may_have_either_name_and_not_two_values() -> None:
    answer = {"role": "assistant", "content": "a", "reasoning": "hm", "reasoning_content": "hm"}
    assert offenders_of(ChatRequest, {"messages": [answer]}) == []
    other = {**answer, "reasoning_content": "ah"}
    assert offenders_of(ChatRequest, {"messages": [USER, other]}) == [(("messages", 1, "reasoning"), "hm")]


def test_a_refusal_is_a_part_of_answers_alone() -> None:
    part = {"type": "refusal", "refusal": "I will not."}
    answer = {"role": "assistant", "content": [{"type": "text", "text": "No."}, part]}
    assert offenders_of(ChatRequest, {"messages": [answer]}) == []
    asked = {"role": "user", "content": [part]}
    assert offenders_of(ChatRequest, {"messages": [asked]}) == [
        (("messages", 0, "content", 0, "type"), "refusal")
    ]


def offenders_of(shape: type[Request], body: dict[str, Any]) -> list[tuple[tuple[str | int, ...], Any]]:
    """Return the offenders of a body, none for a valid one."""
    try:
        validate(shape, body)
    except InvalidInput as refusal:
        return [(offender.loc[1:], offender.input) for offender in refusal.offenders]
    return []


def test_no_more_of_a_value_is_looked_at_than_is_shown() -> None:
    assert abridged(["x" * 5_000] * 10_000) == "['" + "x" * 1_998 + "..."
    assert abridged({"a": [1, None, True, 2.5], "b": "c" * 3_000}).startswith(
        "{'a': [1, None, True, 2.5], 'b': 'ccc"
    )
    assert abridged({"a": [1, ("b",)]}) == {"a": [1, ("b",)]}


@pytest.mark.parametrize(
    ("value", "size"),
    [(None, (0, 0)), ("abc", (0, 3)), ([1, "ab", ["c"]], (4, 3)), ({"ab": {"c": "d"}}, (2, 4))],
)
def test_the_size_of_a_value_counts_its_values_keys_and_characters(value: Any, size: tuple[int, int]) -> None:
    assert size_of(value) == size


def test_values_beyond_the_bounds_of_their_rows_are_refused_with_their_size() -> None:
    body = {"messages": [{"role": "user", "content": "hi"}], "stop": ["a"] * 129, "user": "u" * 10_001}
    with pytest.raises(InvalidInput) as refusal:
        validate(ChatRequest, body)
    assert [(one.loc, one.input, one.message) for one in refusal.value.offenders] == [
        (("body", "stop"), ["a"] * 129, "stop has 129 values, at most 128 are allowed"),
        (("body", "user"), "u" * 2_000 + "...", "user has 10001 characters, at most 10000 are allowed"),
    ]
