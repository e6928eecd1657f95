"""The five routes: what each does, takes and returns, and a curl line that calls it."""

from __future__ import annotations

from dataclasses import dataclass

from training.chat.facts import HOW_TO_CALL, WHAT_IS, WHAT_RETURNS, WHAT_TAKES, Fact, named


@dataclass(frozen=True, slots=True)
class Route:
    names: tuple[str, ...]
    does: str
    does_brief: str
    takes: str
    takes_brief: str
    returns: str
    returns_brief: str
    curl: str

    def facts(self) -> tuple[Fact, ...]:
        return (
            Fact(named(WHAT_IS, self.names), self.does, self.does_brief),
            Fact(named(WHAT_TAKES, self.names), self.takes, self.takes_brief),
            Fact(named(WHAT_RETURNS, self.names), self.returns, self.returns_brief),
            Fact(named(HOW_TO_CALL, self.names), f"Like this: {self.curl}", self.curl),
        )


def post(route: str, body: str) -> str:
    return f"curl localhost:7071{route} -H 'api-key: KEY' -H 'Content-Type: application/json' -d '{body}'"


ROUTES = (
    Route(
        ("/info", "GET /info", "the /info route", "the info route"),
        "GET /info tells which model is deployed: its name, its type and its provider.",
        "It names the deployed model.",
        "GET /info takes no body. A query value model picks the deployment when there are several.",
        "Nothing, or ?model= to pick one.",
        "GET /info returns model_name, model_type and model_provider_name.",
        "model_name, model_type and model_provider_name.",
        "curl localhost:7071/info -H 'api-key: KEY'",
    ),
    Route(
        (
            "/chat/completions",
            "POST /chat/completions",
            "the /chat/completions route",
            "the chat route",
            "chat completions",
        ),
        "POST /chat/completions answers a conversation: you send messages, the model writes the next one.",
        "It answers a conversation.",
        "POST /chat/completions takes messages, and if you like temperature, top_p, max_tokens, "
        "stop, seed, stream, "
        "tools, tool_choice and response_format.",
        "messages, plus sampling options and tools.",
        "POST /chat/completions returns choices, each with a message and a finish_reason, and the "
        "usage in tokens.",
        "choices with messages, and usage.",
        post("/chat/completions", '{"messages": [{"role": "user", "content": "Hello"}]}'),
    ),
    Route(
        (
            "/completions",
            "POST /completions",
            "the /completions route",
            "the completions route",
            "text completions",
        ),
        "POST /completions continues a piece of text that you send as the prompt.",
        "It continues a prompt.",
        "POST /completions takes prompt, and if you like max_tokens, temperature, top_p, stop, "
        "seed and stream.",
        "prompt, plus sampling options.",
        "POST /completions returns choices, each with a text and a finish_reason, and the usage in tokens.",
        "choices with texts, and usage.",
        post("/completions", '{"prompt": "The api-version is", "max_tokens": 20}'),
    ),
    Route(
        (
            "/embeddings",
            "POST /embeddings",
            "the /embeddings route",
            "the embeddings route",
            "text embeddings",
        ),
        "POST /embeddings turns texts into vectors, so that you can compare their meaning.",
        "It turns texts into vectors.",
        "POST /embeddings takes input, a list of texts, and if you like input_type, dimensions and "
        "encoding_format.",
        "input, a list of texts.",
        "POST /embeddings returns data, one embedding for each input, and the usage in tokens.",
        "One vector for each text.",
        post("/embeddings", '{"input": ["first text", "second text"]}'),
    ),
    Route(
        (
            "/images/embeddings",
            "POST /images/embeddings",
            "the /images/embeddings route",
            "the image embeddings route",
            "image embeddings",
        ),
        "POST /images/embeddings turns images into vectors, so that you can compare pictures.",
        "It turns images into vectors.",
        "POST /images/embeddings takes input, a list of objects whose image is a data URL with base64 data.",
        "input, a list of images as data URLs.",
        "POST /images/embeddings returns data, one embedding for each image, and the usage.",
        "One vector for each image.",
        post("/images/embeddings", '{"input": [{"image": "data:image/png;base64,..."}]}'),
    ),
)

ROUTE_FACTS: tuple[Fact, ...] = (
    *(fact for route in ROUTES for fact in route.facts()),
    Fact(
        (
            "which routes (are there|do you have|exist|does this api have)?",
            "(list|name|show) (all |)the routes(| of this api)",
            "what routes can i (call|use|try)?",
            "what (endpoints|routes) (are there|does it serve)?",
            "what can i call(| here)?",
            "(how many|what) routes (does the api have|are there)?",
            "what (routes|paths) does this (api|server|endpoint) (serve|offer)?",
        ),
        "There are five routes: /info, /embeddings, /completions, /chat/completions and /images/embeddings.",
        "/info, /embeddings, /completions, /chat/completions, /images/embeddings.",
    ),
    Fact(
        (
            "which route (is|do i use) for (chat|chatting|conversations|messages)?",
            "where do i send (messages|a chat)?",
            "what route answers (chats|messages)?",
            "(i want|how) to chat, which route(| is it)?",
            "which route (takes|reads) messages?",
        ),
        "Use POST /chat/completions for conversations.",
        "POST /chat/completions.",
    ),
    Fact(
        (
            "which route (is|do i use) for (vectors|embeddings|text vectors)?",
            "where do i send texts (to embed|for vectors)?",
            "what route (makes|gives) (vectors|embeddings)?",
            "(i want|how) to (embed|compare) texts, which route(| is it)?",
            "which route (turns|makes) text into vectors?",
        ),
        "Use POST /embeddings for texts.",
        "POST /embeddings.",
    ),
    Fact(
        (
            "which route (is|do i use) for (images|pictures|photos)?",
            "where do i send (images|pictures)?",
            "what route (takes|embeds) (images|pictures)?",
            "(i want|how) to (embed|compare) images, which route(| is it)?",
            "which route (turns|makes) images into vectors?",
        ),
        "Use POST /images/embeddings for images.",
        "POST /images/embeddings.",
    ),
    Fact(
        (
            "which route (tells|says) (which|what) model (it is|is deployed)?",
            "how do i (see|know|find out) which model is (deployed|served)?",
            "where (do i see|is) the model name?",
            "(what|which) route (names|shows) the model?",
            "how can i (check|ask) (what|which) model this is?",
        ),
        "Use GET /info: it names the model.",
        "GET /info.",
    ),
    Fact(
        (
            "what is the difference between /completions and /chat/completions?",
            "/completions or /chat/completions?",
            "(how|in what) do /completions and /chat/completions differ?",
            "(should i use|do i need) /completions or /chat/completions?",
            "difference (of|between) completions and chat completions?",
        ),
        "/completions continues a prompt of plain text; /chat/completions answers a list of messages.",
        "One continues text, the other answers messages.",
    ),
)
