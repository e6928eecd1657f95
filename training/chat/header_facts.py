"""The headers: extra-parameters and its values, keys, the api-version, choosing a deployment."""

from __future__ import annotations

from training.chat.facts import WHAT_IS, Fact, named

EXTRA = "extra-parameters"


def value(word: str) -> tuple[str, ...]:
    """Questions about one value of the extra-parameters header."""
    return (
        f"what (does|is) {EXTRA}(:|) {word}(| mean| do)?",
        f"what does {word} (mean|do)(| in the {EXTRA} header| in {EXTRA})?",
        f"what happens with {EXTRA}(:|) {word}?",
        f"(explain|describe) (the value |){word}(| of {EXTRA}| in {EXTRA})",
        f"what if (i set |)the header (is|to|says) {word}?",
        f"(when|why) do i (use|send|need) {EXTRA} {word}?",
        f"the {word} value(| of {EXTRA})?",
        f"what is the {word} (value|setting|option|header value)(| for)?",
        f"(tell me|i want to know) what {EXTRA} {word} does",
        f"{EXTRA}={word}?",
    )


HEADER_FACTS = (
    Fact(
        named(WHAT_IS, (EXTRA, f"the {EXTRA} header", "the extra parameters header")),
        "The extra-parameters header says what happens to body keys the API does not know: error, "
        "drop or pass-through.",
        "It decides about unknown parameters.",
    ),
    Fact(
        value("error"),
        "With error, a request that has extra parameters is refused with status 400. It is the default.",
        "Extra parameters are refused with 400.",
    ),
    Fact(
        value("drop"),
        "With drop, extra parameters are removed and the request goes on without them.",
        "Extra parameters are removed.",
    ),
    Fact(
        value("pass-through"),
        "With pass-through, extra parameters are passed on to the model.",
        "Extra parameters go to the model.",
    ),
    Fact(
        value("allow"),
        "allow is an older word for pass-through: extra parameters are passed on to the model.",
        "The same as pass-through.",
    ),
    Fact(
        value("ignore"),
        "ignore is an older word for drop: extra parameters are removed.",
        "The same as drop.",
    ),
    Fact(
        (
            f"what is the default (of|for) {EXTRA}?",
            f"what happens without (the |){EXTRA}(| header)?",
            f"(do i need|must i send) {EXTRA}?",
            f"the default (value |)of {EXTRA}?",
            f"what if i (do not|don't) send {EXTRA}?",
            f"which {EXTRA} value is the default?",
        ),
        "Without the header the value is error: extra parameters are refused with status 400.",
        "error.",
    ),
    Fact(
        (
            f"(which|what) values (does|can) {EXTRA} (have|take)?",
            f"(list|name) the values of {EXTRA}",
            f"what can i (put|write) in {EXTRA}?",
            f"(allowed|possible) values (of|for) {EXTRA}?",
            f"what are the {EXTRA} values?",
            f"what (can|may) the {EXTRA} header say?",
        ),
        "error, drop and pass-through; allow and ignore are older words for pass-through and drop.",
        "error, drop, pass-through, allow, ignore.",
    ),
    Fact(
        (
            "how do i (send|pass) (an extra|a model specific|an unknown) parameter?",
            "how (can|do) i (send|use) top_k?",
            "i (want|need) to send (a|an) (extra|model) parameter(| to the model)",
            "how do extra parameters reach the model?",
            "how to (pass|send) parameters the api does not (know|list)?",
        ),
        "Send the header extra-parameters: pass-through and put the parameter in the body.",
        "With extra-parameters: pass-through.",
    ),
    Fact(
        (
            "how do i (authenticate|log in|sign in)?",
            "(where|how) do i (put|send|use|give) (my|the|a) key?",
            "how does (authentication|auth|the key) work?",
            "(which|what) header (has|takes|carries) the key?",
            "do i need (a|an) (key|api key|token)?",
            "how (can|do) i (use|send) (an|the) api key?",
            "what (do i need|is needed) to (authenticate|be authorized)?",
        ),
        "Send your key in the header api-key, or as Authorization: Bearer KEY. Either works.",
        "With api-key or Authorization: Bearer.",
    ),
    Fact(
        named(WHAT_IS, ("api-key", "the api-key header", "the api key")),
        "The api-key header carries your key. Authorization: Bearer KEY works as well.",
        "It carries your key.",
    ),
    Fact(
        named(WHAT_IS, ("the Authorization header", "Authorization: Bearer", "the bearer header")),
        "Authorization: Bearer carries a key or a token. The api-key header works for keys as well.",
        "It carries a key or token.",
    ),
    Fact(
        (
            "(api-key or authorization|authorization or api-key)?",
            "what is (better|the difference)(|,| between) api-key (or|and) authorization?",
            "(should i use|do i need) api-key or authorization?",
            "(does it matter|is there a difference) (if|whether) i use api-key or authorization?",
            "api-key versus authorization?",
        ),
        "Both work: api-key takes a key, Authorization: Bearer takes a key or a token.",
        "Both work.",
    ),
    Fact(
        named(WHAT_IS, ("api-version", "the api-version", "the api version")),
        "api-version is a query value such as 2024-05-01-preview that says which version of the "
        "API you speak.",
        "It says which version of the API you speak.",
    ),
    Fact(
        (
            "(where|how) do i (put|send|set|write) the api-version?",
            "is (the |)api-version (a header|in the body|in the url)?",
            "where does (the |)api-version go?",
            "how (is|do you pass) the api-version?",
            "api-version, where(| does it go)?",
        ),
        "In the URL, for example /chat/completions?api-version=2024-05-01-preview.",
        "In the URL.",
    ),
    Fact(
        (
            "(how|can) (do |)i (choose|pick|select) (a|the|another) (model|deployment)?",
            "how do i (use|reach|call) (another|a different) (deployment|model)?",
            "which header (picks|chooses|selects) the (deployment|model)?",
            "i have (two|several) (models|deployments), how do i (choose|pick)(| one)?",
            "how (is|are) (the|a) deployment chosen?",
            "how to (switch|change) the (model|deployment)?",
        ),
        "Put its name in model in the body, or in the header azureml-model-deployment.",
        "With model in the body.",
    ),
    Fact(
        named(WHAT_IS, ("azureml-model-deployment", "the azureml-model-deployment header")),
        "The azureml-model-deployment header names the deployment that shall answer.",
        "It names the deployment.",
    ),
)
