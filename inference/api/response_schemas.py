"""JSON Schemas of the routes' answers, for the OpenAPI document and for tests of real answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]

INTEGER: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
TEXT: Schema = {"type": "string"}
TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
LOGPROBS: Schema = {"type": ["object", "null"]}
FINISH: Schema = {"enum": ["stop", "length", "content_filter", "tool_calls", None]}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def record(optional: Mapping[str, Schema] | None = None, /, **required: Schema) -> Schema:
    """Return an object with these properties; later versions may add others."""
    properties = {**required, **(optional or {})}
    return {"type": "object", "properties": properties, "required": list(required)}


def constant(word: str) -> Schema:
    return {"const": word}


RESULTS: Schema = {"type": "object", "description": "What the content filter found, by category."}
FILTERED: Mapping[str, Schema] = {
    "content_filter_results": RESULTS,
    "content_filter_offsets": {"type": "object"},
}
PROMPTS = array(record(prompt_index=INTEGER, content_filter_results=RESULTS))
FUNCTION = record({"name": TEXT}, arguments=TEXT)
TOOL_CALL = record({"index": INTEGER}, id=TEXT, type=constant("function"), function=FUNCTION)
TOOL_CALL_PIECE = record({"id": TEXT, "type": constant("function")}, index=INTEGER, function=FUNCTION)

USAGE = record(
    {
        "completion_tokens": INTEGER,
        "completion_tokens_details": record({"reasoning_tokens": INTEGER}),
        "prompt_patches": INTEGER,
        "total_patches": INTEGER,
    },
    prompt_tokens=INTEGER,
    total_tokens=INTEGER,
)
REASONING: Mapping[str, Schema] = {"reasoning_content": TEXT}
MESSAGE = record(
    {"tool_calls": array(TOOL_CALL), **REASONING}, role=constant("assistant"), content=TEXT_OR_NULL
)
DELTA = record(
    {"role": constant("assistant"), "tool_calls": array(TOOL_CALL_PIECE), **REASONING}, content=TEXT
)


def _answer(kind: str, choice: Schema, *, streamed: bool = False) -> Schema:
    head = {"id": TEXT, "object": constant(kind), "created": INTEGER, "model": TEXT, "choices": array(choice)}
    usage, prompts = {"usage": ref("Usage")}, {"prompt_filter_results": PROMPTS}
    return record(usage | prompts, **head) if streamed else record(prompts, **head, **usage)


DETAIL = record(code=TEXT, message=TEXT, target=TEXT, loc=array({"type": ["string", "integer"]}), input={})
ERROR = record(
    {
        "target": TEXT,
        "details": array(ref("ErrorDetail")),
        "type": TEXT_OR_NULL,
        "param": TEXT_OR_NULL,
        "innererror": {"type": "object"},
    },
    code=TEXT,
    status=INTEGER,
    message=TEXT,
)
OPENAI_ERROR = record(
    {
        "details": array(record(message=TEXT, param=TEXT, code=TEXT)),
        "innererror": {"type": "object"},
    },
    message=TEXT,
    type=TEXT_OR_NULL,
    param=TEXT_OR_NULL,
    code=TEXT,
)
PLACE = record(loc=array({"type": ["string", "integer"]}), input={})
VECTOR: Schema = {"oneOf": [array({"type": "number"}), {"type": "string", "contentEncoding": "base64"}]}
LABEL = record(label=TEXT, score=NUMBER)
ALIASES: Mapping[str, Schema] = {"aliases": array(TEXT), "responses": record(store=TEXT)}
INFO = {
    "model_name": TEXT,
    "model_type": TEXT,
    "model_provider_name": TEXT,
    "routes": array(TEXT),
    "capabilities": {"type": "object", "additionalProperties": ref("Capability")},
    "content_safety": record(enabled={"type": "boolean"}),
}

PHASE = record({"at": {"type": "number"}}, seconds={"type": "number"})
PHASES = {"type": "object", "additionalProperties": {"type": "object", "additionalProperties": PHASE}}
FETCHING = record({"problem": TEXT}, bytes=INTEGER, total=INTEGER)

BOOLEAN: Schema = {"type": "boolean"}
OBJECT_OR_NULL: Schema = {"type": ["object", "null"]}
INTEGER_OR_NULL: Schema = {"type": ["integer", "null"]}
ITEM = record({"id": TEXT}, type={"enum": ["message", "function_call", "function_call_output", "reasoning"]})
RESPONSE = record(
    {"content_filters": {"type": ["array", "null"]}, "user": TEXT_OR_NULL},
    id=TEXT,
    object=constant("response"),
    created_at=INTEGER,
    completed_at=INTEGER_OR_NULL,
    status={"enum": ["in_progress", "completed", "incomplete", "failed"]},
    incomplete_details=OBJECT_OR_NULL,
    model=TEXT,
    previous_response_id=TEXT_OR_NULL,
    instructions=TEXT_OR_NULL,
    output=array(ITEM),
    error=OBJECT_OR_NULL,
    tools=array({"type": "object"}),
    tool_choice={"type": ["string", "object"]},
    truncation={"enum": ["auto", "disabled"]},
    parallel_tool_calls=BOOLEAN,
    text={"type": "object"},
    top_p=NUMBER,
    presence_penalty=NUMBER,
    frequency_penalty=NUMBER,
    top_logprobs=INTEGER,
    temperature=NUMBER,
    reasoning=OBJECT_OR_NULL,
    usage=OBJECT_OR_NULL,
    max_output_tokens=INTEGER_OR_NULL,
    max_tool_calls=INTEGER_OR_NULL,
    store=BOOLEAN,
    background=BOOLEAN,
    service_tier=TEXT,
    metadata={"type": "object"},
    safety_identifier=TEXT_OR_NULL,
    prompt_cache_key=TEXT_OR_NULL,
)

RESPONSES: Mapping[str, Schema] = {
    "Usage": USAGE,
    "ChatCompletion": _answer(
        "chat.completion",
        record(FILTERED, index=INTEGER, message=MESSAGE, finish_reason=FINISH, logprobs=LOGPROBS),
    ),
    "ChatCompletionChunk": _answer(
        "chat.completion.chunk",
        record(FILTERED, index=INTEGER, delta=DELTA, finish_reason=FINISH, logprobs=LOGPROBS),
        streamed=True,
    ),
    "Completion": _answer(
        "text_completion",
        record(FILTERED, index=INTEGER, text=TEXT, finish_reason=FINISH, logprobs=LOGPROBS),
        streamed=True,
    ),
    "Embeddings": record(
        id=TEXT,
        object=constant("list"),
        model=TEXT,
        data=array(record(index=INTEGER, object=constant("embedding"), embedding=VECTOR)),
        usage=ref("Usage"),
    ),
    "Ranking": {
        "oneOf": [
            record(
                id=TEXT,
                object=constant("list"),
                model=TEXT,
                results=array(record({"document": record(text=TEXT)}, index=INTEGER, relevance_score=NUMBER)),
                usage=ref("Usage"),
                meta={"type": "object"},
            ),
            array(record({"text": TEXT}, index=INTEGER, score=NUMBER)),
        ]
    },
    "Classification": {"oneOf": [array(LABEL), array(array(LABEL))]},
    "SparseEmbeddings": array(array(record(index=INTEGER, value=NUMBER))),
    "Response": RESPONSE,
    "ResponseEvent": record({"response": ref("Response")}, type=TEXT, sequence_number=INTEGER),
    "InputTokens": record(object=constant("response.input_tokens"), input_tokens=INTEGER),
    "InputItems": record(
        object=constant("list"),
        data=array(ITEM),
        first_id=TEXT_OR_NULL,
        last_id=TEXT_OR_NULL,
        has_more=BOOLEAN,
    ),
    "DeletedResponse": record(id=TEXT, object=constant("response"), deleted=BOOLEAN),
    "Capability": record(
        {
            "min": {"type": "number"},
            "max": {"type": "number"},
            "values": array({}),
            "default": {},
            "max_calls": INTEGER,
        },
        supported={"type": "boolean"},
    ),
    "Info": record(ALIASES, **INFO),
    "Model": record(ALIASES, id=TEXT, object=constant("model"), created=INTEGER, owned_by=TEXT, **INFO),
    "Models": record(object=constant("list"), data=array(ref("Model"))),
    "Health": record(
        status=TEXT,
        version=TEXT,
        deployments={"type": "object", "additionalProperties": TEXT},
        fetching={"type": "object", "additionalProperties": FETCHING},
        containers=array(TEXT),
        responses={"enum": ["off", "memory", "file", "container"]},
        memory=record(used_mb=INTEGER, budget_mb=INTEGER),
        start=record(**{"import": PHASE, "deployments": PHASES}),
    ),
    "DryRun": record(
        {
            "prompt_tokens": array(INTEGER),
            "context": INTEGER,
            "room": array(INTEGER),
            "max_tokens": INTEGER,
        },
        object=constant("dry_run"),
        model=TEXT,
        status=INTEGER,
        code=TEXT_OR_NULL,
        honoured={"type": "object"},
        dropped=array(TEXT),
        refused=array(ref("ErrorDetail")),
    ),
    "ErrorDetail": DETAIL,
    "Error": record(
        {"detail": PLACE, "param": TEXT_OR_NULL, "type": TEXT_OR_NULL},
        status=INTEGER,
        code=TEXT,
        message=TEXT,
        error=ERROR,
    ),
    "OpenAIError": record(error=OPENAI_ERROR),
}
