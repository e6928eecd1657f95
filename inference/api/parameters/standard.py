"""The parameters that the API names, in the order of its reference."""

from inference.api.parameters.parameter import ALL, CHAT, EMBEDDING, GENERATION, TEXT, Kind, Parameter, Place
from inference.contracts import Route

INT64 = 2**63
ENCODINGS = ("base64", "binary", "float", "int8", "ubinary", "uint8")


STANDARD: tuple[Parameter, ...] = (
    Parameter("messages", CHAT, Kind.ARRAY, "The conversation so far.", Place.ENVELOPE),
    Parameter(
        "prompt", TEXT, Kind.STRINGS, "The text or texts to continue, or their token ids.", Place.ENVELOPE
    ),
    Parameter(
        "input",
        EMBEDDING,
        Kind.ARRAY,
        "What to embed: texts or their token ids, or pictures, where the model reads them with texts beside.",
        Place.ENVELOPE,
    ),
    Parameter("model", ALL, Kind.STRING, "The deployment that answers.", Place.ENVELOPE),
    Parameter(
        "stream", GENERATION, Kind.BOOLEAN, "Send the answer piece by piece.", Place.ENVELOPE, default=False
    ),
    Parameter(
        "temperature",
        GENERATION,
        Kind.NUMBER,
        "Flattens (above 1) or sharpens (below 1) the distribution; 0 takes the most likely token.",
        minimum=0,
        maximum=2,
        default=0.7,
        defaults_by_route={Route.COMPLETIONS: 1.0},
        defaults_by_version={"2024-04-01-preview": 1.0, "openai": 1.0},
    ),
    Parameter(
        "top_p",
        GENERATION,
        Kind.NUMBER,
        "Draws from the most likely tokens that together reach this probability; 0 takes the most likely.",
        minimum=0,
        maximum=1,
        default=1.0,
        neutral=1,
    ),
    Parameter(
        "max_tokens",
        GENERATION,
        Kind.INTEGER,
        "The most tokens of the answer. Without it what the context leaves.",
        defaults_by_route={Route.COMPLETIONS: 256},
        minimum=0,
        maximum=2**31 - 1,
    ),
    Parameter(
        "stop",
        GENERATION,
        Kind.STRINGS,
        "Texts that end the answer; the text itself is not returned.",
        neutral=(),
    ),
    Parameter(
        "seed",
        GENERATION,
        Kind.INTEGER,
        "Makes the draw repeatable: the same request with the same seed gives the same answer.",
        minimum=-INT64,
        maximum=INT64 - 1,
    ),
    Parameter(
        "frequency_penalty",
        GENERATION,
        Kind.NUMBER,
        "Taken from a token's logit once for each time the answer already holds it.",
        minimum=-2,
        maximum=2,
        default=0.0,
        neutral=0,
    ),
    Parameter(
        "presence_penalty",
        GENERATION,
        Kind.NUMBER,
        "Taken from a token's logit when the answer already holds it.",
        minimum=-2,
        maximum=2,
        default=0.0,
        neutral=0,
    ),
    Parameter(
        "response_format",
        CHAT,
        Kind.OBJECT,
        "Free text, any JSON object, or JSON of a schema.",
        values=("text", "json_object", "json_schema"),
        default="text",
        neutral="text",
    ),
    Parameter("tools", CHAT, Kind.ARRAY, "Functions that the model may call."),
    Parameter(
        "tool_choice",
        CHAT,
        Kind.STRING,
        "Whether the model may (`auto`), must (`required`, or a named function) or must not (`none`) call.",
        values=("none", "auto", "required", "function"),
    ),
    Parameter(
        "modalities",
        CHAT,
        Kind.ARRAY,
        "Kinds of output.",
        values=("text", "audio"),
        neutral=("text",),
    ),
    Parameter(
        "dimensions",
        EMBEDDING,
        Kind.INTEGER,
        "Shortens the vectors, for models trained so that their first numbers carry the most.",
        minimum=1,
        maximum=2**31 - 1,
    ),
    Parameter(
        "encoding_format",
        EMBEDDING,
        Kind.STRING,
        "How the numbers of a vector are written.",
        values=ENCODINGS,
        default="float",
        neutral="float",
    ),
    Parameter(
        "input_type",
        EMBEDDING,
        Kind.STRING,
        "What the input is for: puts the model's own prompt for queries or documents before it.",
        Place.ENVELOPE,
        values=("text", "query", "document"),
        default="text",
        neutral="text",
    ),
)
