"""The status codes an answer may carry."""

from __future__ import annotations

from training.chat.facts import WHAT_IS, Fact, named


def code(number: int, *names: str) -> tuple[str, ...]:
    """Questions about one status code."""
    asked = (
        "what does {x} mean?",
        "why do i get (a |){x}?",
        "i (got|get) (a |){x}",
        "(explain|what is) {x}",
        "when (does it|do you|does the api) (return|send|answer|give) {x}?",
        "(the server|the api|it) (says|returns|answers) {x}(|, why| - why)?",
        "{x}?",
        "what (can|should|do) i do about (a |){x}?",
        "(what causes|reason for) (a |){x}?",
        "how do i fix (a |){x}?",
    )
    return named(asked, (str(number), f"status {number}", f"error {number}", *names))


STATUS_FACTS = (
    Fact(code(200), "200 means the request worked.", "It worked."),
    Fact(
        code(400, "bad request"),
        "400 means a bad request: broken JSON, extra parameters without permission, no model name, "
        "or text the content filter blocked.",
        "A bad request.",
    ),
    Fact(
        code(401, "unauthorized"),
        "401 means the key or token is missing or wrong. Send it as api-key or Authorization: Bearer.",
        "The key is missing or wrong.",
    ),
    Fact(
        code(404, "not found"),
        "404 means not found: an unknown route, an unknown model, or a route this deployment does not serve.",
        "Unknown route or model.",
    ),
    Fact(
        code(413), "413 means the request is too large: make the body smaller.", "The request is too large."
    ),
    Fact(
        code(422, "unprocessable"),
        "422 means a value the model cannot honour. detail.loc names the place and detail.input the value.",
        "A value the model cannot honour.",
    ),
    Fact(
        code(429, "too many requests"),
        "429 means too many requests at once. Wait as many seconds as Retry-After says and try again.",
        "Too many requests, try later.",
    ),
    Fact(
        code(500, "internal error"),
        "500 means something broke inside the server. Look at its log.",
        "The server broke.",
    ),
    Fact(
        code(503, "service unavailable"),
        "503 means the model is still loading. Wait as many seconds as Retry-After says and try again.",
        "The model is still loading.",
    ),
    Fact(
        (
            "which status codes (are there|exist|can i get)?",
            "(list|name) the (status|error) codes",
            "what (errors|codes) (can|may) i get?",
            "(which|what) errors (does|can) (the api|it) (return|send)?",
            "what (status|error) codes (does|can) (it|the api) (send|return)?",
        ),
        "400 bad request, 401 no valid key, 404 not found, 413 too large, 422 unsupported value, "
        "429 too many requests, 503 loading.",
        "400, 401, 404, 413, 422, 429 and 503.",
    ),
    Fact(
        (
            "what does an error (look like|contain)?",
            "what is in (an error|the error body)?",
            "(how|in what form) are errors (sent|returned|reported)?",
            "(describe|explain) the error body",
            "what (does|is) the (body|format) of an error(| look like)?",
        ),
        "An error body has status, code, message and detail, and an error object that repeats them.",
        "status, code, message and detail.",
    ),
    Fact(
        named(WHAT_IS, ("parameter_not_supported", "the code parameter_not_supported")),
        "parameter_not_supported comes with 422: the model cannot honour that parameter or value.",
        "The model cannot honour a parameter.",
    ),
    Fact(
        named(WHAT_IS, ("Retry-After", "the Retry-After header")),
        "Retry-After comes with 429 and 503 and says how many seconds to wait.",
        "It says how long to wait.",
    ),
    Fact(
        named(WHAT_IS, ("content_filter", "the content filter", "content safety")),
        "Content safety checks texts and images; what it blocks is refused with 400 and the code "
        "content_filter.",
        "It blocks harmful content.",
    ),
)
