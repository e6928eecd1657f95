"""The texts, images, audio and kinds of input that each request type names to the stages."""

from collections.abc import Sequence
from typing import Any

import pytest

from inference.api.chat import ChatRequest
from inference.api.classify import ClassifyRequest, EmbedSparseRequest
from inference.api.completions import CompletionRequest
from inference.api.embeddings import EmbeddingsRequest, ImageEmbeddingsRequest
from inference.api.generation import GenerationBody
from inference.api.rerank import RerankRequest
from inference.api.responses import ResponsesRequest
from inference.api.routes import ROWS
from inference.api.validation import Request, validate
from inference.contracts import FilteredText, TextOrigin

USER, TOOL, OTHER = TextOrigin.USER, TextOrigin.TOOL, TextOrigin.OTHER
HI = {"role": "user", "content": "hi"}
JUDGED_HI = FilteredText("hi", USER)
IMAGE = {"type": "image_url", "image_url": {"url": "data:,one", "detail": "low"}}
AUDIO = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
REMOTE_AUDIO = {"type": "audio_url", "audio_url": {"url": "https://a.test/b.mp3"}}
MIXED = [{"role": "system", "content": "Look."}, {"role": "user", "content": [IMAGE, AUDIO, REMOTE_AUDIO]}]
SCHEMA = {
    "type": "object",
    "title": "the title",
    "description": "the schema",
    "properties": {
        "city": {"type": "string", "enum": ["first value", "second value"], "description": "the property"},
        "days": {"type": ["integer", "null"], "const": 3, "default": "the default"},
    },
    "required": ["city"],
    "examples": [{"city": "the example"}],
}
SCHEMA_TEXTS = "\n".join(
    [
        *("type", "object", "title", "the title", "description", "the schema", "properties"),
        *("city", "type", "string", "enum", "first value", "second value", "description", "the property"),
        *("days", "type", "integer", "null", "const", "default", "the default"),
        *("required", "city", "examples", "city", "the example"),
    ]
)


def spelled(ids: Sequence[int]) -> str:
    return "".join(chr(number) for number in ids)


def texts(request_type: type[Request], **body: Any) -> list[list[FilteredText]]:
    return validate(request_type, body).filtered_texts(spelled)


def chat(**body: Any) -> list[FilteredText]:
    [group] = texts(ChatRequest, **{"messages": [HI], **body})
    return group


def tool(**function: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "look", **function}}


@pytest.mark.parametrize(
    ("message", "judged"),
    [
        ({"role": "system", "content": "rule"}, [FilteredText("rule", OTHER)]),
        ({"role": "developer", "content": "rule"}, [FilteredText("rule", OTHER)]),
        (
            {
                "role": "user",
                "content": [{"type": "text", "text": "a"}, IMAGE, {"type": "text", "text": "b"}],
            },
            [FilteredText("a\nb", USER)],
        ),
        (
            {"role": "tool", "content": "found", "tool_call_id": "call-7", "name": "look"},
            [FilteredText("found", TOOL), FilteredText("look", TOOL)],
        ),
        (
            {"role": "assistant", "content": "said", "reasoning_content": "because"},
            [FilteredText("said", OTHER), FilteredText("because", OTHER)],
        ),
        (
            {
                "role": "assistant",
                "tool_calls": [
                    {"id": "call-1", "function": {"name": "look", "arguments": '{"city": "Paris"}'}},
                    {
                        "id": "call-2",
                        "function": {"name": "look_up", "arguments": {"to": ["Rome", {"at": "x"}]}},
                    },
                ],
            },
            [
                FilteredText('look\n{"city": "Paris"}', OTHER),
                FilteredText("look_up\nlook up\nto\nRome\nat\nx", OTHER),
            ],
        ),
        (
            {"role": "user", "content": "ask", "name": "Ann", "mood": {"of_day": "low"}},
            [FilteredText("ask", USER), FilteredText("Ann\nmood\nof_day\nof day\nlow", USER)],
        ),
        (
            {"role": "user", "content": [{"type": "text", "text": "ask", "cache": "part"}]},
            [FilteredText("ask", USER), FilteredText("cache\npart", USER)],
        ),
        (
            {
                "role": "assistant",
                "content": "yes",
                "parsed": {"a": "own"},
                "annotations": [{"title": "source"}],
                "audio": {"transcript": "spoken"},
                "tool_calls": [
                    {
                        "note": "call",
                        "function": {"name": "look", "parsed_arguments": {"b": "c"}, "note": "function"},
                    }
                ],
            },
            [
                FilteredText("yes", OTHER),
                FilteredText("look\nb\nc", OTHER),
                FilteredText(
                    "a\nown\ntitle\nsource\naudio\ntranscript\nspoken\nnote\ncall\nnote\nfunction", OTHER
                ),
            ],
        ),
        (
            {"role": "tool", "content": "found", "tool_call_id": "not an id"},
            [FilteredText("found", TOOL), FilteredText("not an id", TOOL)],
        ),
        (
            {
                "role": "assistant",
                "tool_calls": [{"id": "not an id", "function": {"name": "look", "arguments": "{}"}}],
            },
            [FilteredText("look\n{}\nnot an id", OTHER)],
        ),
    ],
)
def test_every_text_of_a_message_is_judged_as_its_author_s(
    message: dict[str, Any], judged: list[FilteredText]
) -> None:
    assert chat(messages=[message, HI]) == [*judged, JUDGED_HI]


def test_a_conversation_is_judged_as_one_prompt_without_its_blank_texts() -> None:
    messages = [{"role": "system", "content": " \n"}, HI, {"role": "assistant"}, {"role": "tool"}, HI]
    assert texts(ChatRequest, messages=messages) == [[JUDGED_HI, JUDGED_HI]]


def test_names_descriptions_and_schemas_of_tools_are_judged() -> None:
    tools = [
        tool(description="Looks.", parameters=SCHEMA),
        tool(parameters=SCHEMA, strictness="of the function"),
        {**tool(description="More."), "origin": "of the tool"},
    ]
    assert chat(tools=tools) == [
        JUDGED_HI,
        FilteredText(f"look\nLooks.\n{SCHEMA_TEXTS}"),
        FilteredText(f"look\n{SCHEMA_TEXTS}\nstrictness\nof the function"),
        FilteredText("look\nMore.\norigin\nof the tool"),
    ]


def test_tools_that_may_not_be_called_are_judged_all_the_same() -> None:
    assert chat(tools=[tool(description="Looks.")], tool_choice="none")[1:] == [FilteredText("look\nLooks.")]


def test_the_name_of_a_forced_tool_is_judged() -> None:
    choice = {"type": "function", "function": {"name": "look", "why": "because"}}
    assert chat(tools=[tool()], tool_choice=choice)[1:] == [
        FilteredText("look"),
        FilteredText("look"),
        FilteredText("why\nbecause"),
    ]


def test_the_name_description_and_schema_of_a_response_format_are_judged() -> None:
    wanted = {"name": "the_answer", "description": "the format", "schema": SCHEMA}
    format_ = {"type": "json_schema", "json_schema": wanted, "more": "beside it"}
    beside = FilteredText("more\nbeside it")
    named = "the_answer\nthe answer\n"
    described = FilteredText(f"{named}the format\n{SCHEMA_TEXTS}")
    assert chat(response_format=format_) == [JUDGED_HI, described, beside]
    del wanted["description"]
    assert chat(response_format=format_) == [JUDGED_HI, FilteredText(f"{named}{SCHEMA_TEXTS}"), beside]


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("prediction", {"type": "content", "content": "so far"}, "type\ncontent\ncontent\nso far"),
        ("web_search_options", {"user_location": "Rome"}, "user_location\nuser location\nRome"),
        ("functions", [{"name": "look", "description": "Looks."}], "name\nlook\ndescription\nLooks."),
        ("function_call", {"name": "look"}, "name\nlook"),
        ("audio", {"voice": "alloy"}, "voice\nalloy"),
    ],
)
def test_values_whose_shape_the_api_leaves_open_are_judged(name: str, value: Any, text: str) -> None:
    assert chat(**{name: value}) == [JUDGED_HI, FilteredText(text)]


def test_the_suffix_of_a_completion_is_judged_with_its_first_prompt() -> None:
    assert texts(CompletionRequest, prompt=["a", "b"], suffix="end") == [
        [FilteredText("a", USER), FilteredText("end", USER)],
        [FilteredText("b", USER)],
    ]


BODIES: dict[type[Request], dict[str, Any]] = {
    ChatRequest: {"messages": [HI]},
    CompletionRequest: {"prompt": "a"},
    EmbeddingsRequest: {"input": "a"},
    ImageEmbeddingsRequest: {"input": [{"image": "data:,a"}]},
    RerankRequest: {"query": "a", "documents": ["b"]},
    ClassifyRequest: {"inputs": "a"},
    EmbedSparseRequest: {"inputs": "a"},
}


def test_extras_of_every_route_are_judged() -> None:
    assert BODIES.keys() == {row.request for row in ROWS if row.request is not None and row.like is None}
    for request_type, body in BODIES.items():
        [group] = texts(request_type, **body, extra={"deep_er": ["one", 2]})
        assert group[-1] == FilteredText("extra\ndeep_er\ndeep er\none")


def test_undeclared_keys_beside_an_image_are_judged() -> None:
    inputs = [{"image": "data:,a", "caption": "one"}]
    assert texts(ImageEmbeddingsRequest, input=inputs) == [[FilteredText("caption\none")]]


def test_labels_are_not_judged() -> None:
    labels = {"user": "x", "safety_identifier": "x", "prompt_cache_key": "x", "metadata": {"x": "x"}}
    assert chat(**labels) == [JUDGED_HI]


@pytest.mark.parametrize("form", ["text", "json_object", {"type": "text"}, {"type": "json_object"}])
def test_a_response_format_without_the_caller_s_words_adds_nothing(form: Any) -> None:
    assert chat(response_format=form) == [JUDGED_HI]


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("guided_regex", "yes|no", "yes|no"),
        ("guided_grammar", 'start: "a"', 'start: "a"'),
        ("guided_choice", ["yes", "no"], "yes\nno"),
    ],
)
def test_the_source_of_a_constraint_is_judged_on_both_routes(name: str, value: Any, text: str) -> None:
    assert chat(**{name: value}) == [JUDGED_HI, FilteredText(text)]
    assert texts(CompletionRequest, prompt=["a", "b"], **{name: value}) == [
        [FilteredText("a", USER), FilteredText(text)],
        [FilteredText("b", USER)],
    ]


@pytest.mark.parametrize(
    ("value", "read"),
    [("a", ["a"]), (["a", "b"], ["a", "b"]), ([97, 98], ["ab"]), ([[97], [98, 99]], ["a", "bc"])],
)
def test_prompts_are_judged_one_by_one_and_inputs_together_token_ids_as_text(
    value: Any, read: list[str]
) -> None:
    assert texts(CompletionRequest, prompt=value) == [[FilteredText(text, USER)] for text in read]
    assert texts(EmbeddingsRequest, input=value) == [[FilteredText(text, OTHER) for text in read]]


def test_texts_beside_images_are_judged_together() -> None:
    inputs = [{"image": "data:,a", "text": "one"}, {"image": "data:,b"}, {"image": "data:,c", "text": ""}]
    assert texts(ImageEmbeddingsRequest, input=inputs) == [[FilteredText("one")]]


@pytest.mark.parametrize(
    ("request_type", "body", "ids"),
    [
        (ChatRequest, {"messages": [HI]}, False),
        (CompletionRequest, {}, False),
        (CompletionRequest, {"prompt": ["1", "2"]}, False),
        (CompletionRequest, {"prompt": [1, 2]}, True),
        (EmbeddingsRequest, {"input": "1"}, False),
        (EmbeddingsRequest, {"input": [[1], [2]]}, True),
        (ImageEmbeddingsRequest, {"input": [{"image": "data:,a"}]}, False),
    ],
)
def test_token_ids_are_noticed(request_type: type[Request], body: dict[str, Any], *, ids: bool) -> None:
    assert validate(request_type, body).has_token_ids is ids


def test_images_of_a_conversation_are_named_with_their_places() -> None:
    later = {"role": "user", "content": [{"type": "text", "text": "and"}, IMAGE]}
    assert validate(ChatRequest, {"messages": [*MIXED, later]}).image_urls() == [
        (("body", "messages", 1, "content", 0, "image_url", "url"), "data:,one"),
        (("body", "messages", 2, "content", 1, "image_url", "url"), "data:,one"),
    ]


def test_audio_of_a_conversation_is_named_with_its_places() -> None:
    assert validate(ChatRequest, {"messages": MIXED}).audio_locations() == [
        ("body", "messages", 1, "content", 1),
        ("body", "messages", 1, "content", 2),
    ]


def test_the_parts_of_a_conversation_are_named_with_their_kinds() -> None:
    messages = [*MIXED, {"role": "tool", "content": [{"type": "text", "text": "found"}]}]
    assert list(validate(ChatRequest, {"messages": messages}).input_kinds()) == [
        (("body", "messages", 1, "content", 0), "image_url"),
        (("body", "messages", 1, "content", 1), "input_audio"),
        (("body", "messages", 1, "content", 2), "audio_url"),
        (("body", "messages", 2, "content", 0), "text"),
    ]


def test_a_text_beside_an_image_is_a_kind_of_its_own() -> None:
    inputs = [{"image": "data:,a"}, {"image": "data:,b", "text": ""}, {"image": "data:,c", "text": "c"}]
    assert list(validate(ImageEmbeddingsRequest, {"input": inputs}).input_kinds()) == [
        (("body", "input", 1, "text"), "input.text"),
        (("body", "input", 2, "text"), "input.text"),
    ]


@pytest.mark.parametrize(
    ("request_type", "body"),
    [
        (CompletionRequest, {"prompt": ["a", "b"]}),
        (EmbeddingsRequest, {"input": "data:,a"}),
        (ImageEmbeddingsRequest, {"input": [{"image": "data:,a"}]}),
    ],
)
def test_the_other_routes_have_no_images_among_texts_no_audio_and_no_parts(
    request_type: type[Request], body: dict[str, Any]
) -> None:
    request = validate(request_type, body)
    assert (request.image_urls(), request.audio_locations(), list(request.input_kinds())) == ([], [], [])


def test_every_request_type_names_the_key_of_its_texts() -> None:
    keys = {row.request: row.request.text_key for row in ROWS if row.request is not None}
    assert keys == {
        ChatRequest: "messages",
        ResponsesRequest: "input",
        CompletionRequest: "prompt",
        EmbeddingsRequest: "input",
        ImageEmbeddingsRequest: "input",
        RerankRequest: "query",
        ClassifyRequest: "inputs",
        EmbedSparseRequest: "inputs",
    }
    assert all(key in kind.model_fields for kind, key in keys.items())


@pytest.mark.parametrize(
    ("request_type", "body", "streamed", "constrained"),
    [
        (ChatRequest, {"messages": [HI]}, False, False),
        (ChatRequest, {"messages": [HI], "stream": True, "response_format": "text"}, True, False),
        (ChatRequest, {"messages": [HI], "response_format": {"type": "json_object"}}, False, True),
        (ChatRequest, {"messages": [HI], "tools": [tool()]}, False, False),
        (ChatRequest, {"messages": [HI], "tools": [tool()], "tool_choice": "required"}, False, True),
        (CompletionRequest, {"guided_choice": ["a"]}, False, True),
        (CompletionRequest, {"guided_regex": "a", "stream": True}, True, True),
        (CompletionRequest, {"stream": False}, False, False),
        (EmbeddingsRequest, {"input": "a"}, False, False),
    ],
)
def test_streams_and_constraints_are_noticed(
    request_type: type[Request], body: dict[str, Any], *, streamed: bool, constrained: bool
) -> None:
    request = validate(request_type, body)
    assert (request.streamed, request.constrained) == (streamed, constrained)


def test_only_a_completion_goes_on_where_its_prompt_ended() -> None:
    kinds: list[type[GenerationBody]] = [ChatRequest, CompletionRequest]
    assert [kind.continues_prompt for kind in kinds] == [False, True]
