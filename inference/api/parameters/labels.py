"""The parameters that name the caller or group requests, and change no answer."""

from inference.api.parameters.parameter import (
    ALL,
    CONVERSATION,
    NOTHING,
    Parameter,
    ParameterPlace,
    ValueKind,
)

LABEL = ParameterPlace.LABEL

LABELS: tuple[Parameter, ...] = (
    Parameter("user", ALL, ValueKind.STRING, "The user whom the request is made for.", LABEL, neutral=("",)),
    Parameter(
        "safety_identifier",
        CONVERSATION,
        ValueKind.STRING,
        "OpenAI's later name of `user`.",
        LABEL,
        neutral=("",),
    ),
    Parameter(
        "prompt_cache_key",
        CONVERSATION,
        ValueKind.STRING,
        "Groups requests with like prompts.",
        LABEL,
        neutral=("",),
    ),
    Parameter(
        "prompt_cache_retention",
        CONVERSATION,
        ValueKind.STRING,
        "How long a cached prompt should be kept.",
        LABEL,
        values=("in_memory", "in-memory", "24h"),
        neutral=("in_memory", "in-memory"),
    ),
    Parameter(
        "prompt_cache_options",
        CONVERSATION,
        ValueKind.OBJECT,
        "Where cached prefixes should end, and how long they should be kept.",
        LABEL,
        neutral=(NOTHING,),
    ),
    Parameter(
        "metadata",
        CONVERSATION,
        ValueKind.OBJECT,
        "Notes to file the request under.",
        LABEL,
        neutral=(NOTHING,),
    ),
)
