"""The request parameters and the parts of an answer."""

from __future__ import annotations

from training.chat.facts import WHAT_IS, Fact, named


def about(name: str, answer: str, brief: str, *names: str) -> Fact:
    return Fact(
        named(WHAT_IS, (name, f"the {name} parameter", f"the parameter {name}", *names)), answer, brief
    )


PARAMETER_FACTS = (
    about(
        "temperature",
        "temperature sets how random the words are: 0 always takes the likeliest, higher is more random.",
        "How random the words are.",
    ),
    about(
        "top_p",
        "top_p keeps only the likeliest words whose chances add up to that number.",
        "It keeps the likeliest words.",
    ),
    about(
        "max_tokens",
        "max_tokens is the most tokens the model may write in its answer.",
        "The longest answer in tokens.",
    ),
    about(
        "stop",
        "stop is a list of strings; the answer ends before the first one that appears.",
        "Strings that end the answer.",
    ),
    about(
        "seed",
        "seed makes sampling repeatable: the same request with the same seed gives the same answer.",
        "It makes sampling repeatable.",
    ),
    about(
        "stream",
        "stream: true sends the answer in pieces as server-sent events while the model writes.",
        "It sends the answer in pieces.",
        "streaming",
    ),
    about(
        "tools",
        "tools lists functions the model may call; it answers with tool_calls and you send the results back.",
        "Functions the model may call.",
        "tool calling",
    ),
    about(
        "tool_choice",
        "tool_choice says whether the model may call tools: none, auto, required or one by name.",
        "Whether tools may be called.",
    ),
    about(
        "response_format",
        "response_format asks for text, json_object or json_schema; with the JSON ones the answer "
        "always parses.",
        "The form of the answer.",
        "JSON mode",
    ),
    about(
        "frequency_penalty",
        "frequency_penalty lowers the chance of words each time they have been used.",
        "It lowers repeated words.",
    ),
    about(
        "presence_penalty",
        "presence_penalty lowers the chance of words that have been used at all.",
        "It favours new words.",
    ),
    about(
        "input_type",
        "input_type says whether a text is a query, a document or just text, so that search works better.",
        "query, document or text.",
    ),
    about(
        "encoding_format",
        "encoding_format sets how vectors are written: float, base64, int8, uint8, binary or ubinary.",
        "How vectors are written.",
    ),
    about(
        "dimensions",
        "dimensions asks for shorter vectors, if the model can cut them.",
        "The length of the vectors.",
    ),
    about(
        "safe_prompt",
        "safe_prompt adds a fixed system line that asks for safe and respectful answers.",
        "It adds a safety line.",
    ),
    about(
        "finish_reason",
        "finish_reason says why the answer ended: stop, length, tool_calls or content_filter.",
        "Why the answer ended.",
    ),
    about(
        "usage",
        "usage counts the tokens: prompt_tokens, completion_tokens and total_tokens.",
        "The tokens used.",
    ),
    about(
        "messages",
        "messages is the conversation: a list of objects with a role and a content.",
        "The conversation.",
    ),
    Fact(
        named(WHAT_IS, ("a system message", "the system message", "the system role")),
        "A system message comes first and says how the model shall behave, for example in which "
        "style to answer.",
        "It says how to behave.",
    ),
    Fact(
        named(WHAT_IS, ("a token", "tokens")),
        "A token is a piece of a word; models read and write tokens and usage counts them.",
        "A piece of a word.",
    ),
    Fact(
        named(WHAT_IS, ("an embedding", "a vector")),
        "An embedding is a list of numbers that stands for the meaning of a text or image.",
        "Numbers that stand for a meaning.",
    ),
    Fact(
        named(WHAT_IS, ("[DONE]", "data: [DONE]")),
        "data: [DONE] is the last line of a stream: nothing follows it.",
        "The end of a stream.",
    ),
    Fact(
        (
            "how do i (stream|get a stream|get the answer in pieces)?",
            "(turn|switch) (on |)streaming(| on)",
            "how (does|do i use) streaming(| work)?",
            "can (you|it|the answer) (stream|be streamed)?",
            "how to stream (an answer|the answer)?",
        ),
        'Put "stream": true in the body. The answer comes as server-sent events and ends with data: [DONE].',
        'Put "stream": true in the body.',
    ),
    Fact(
        (
            "how do i (get|force|ask for) json?",
            "can (you|it) (answer|reply) (in|with) json?",
            "how (can|do) i (make|have) the answer (be |)json?",
            "i (want|need) (json|a json answer)",
            "how to get (valid json|json answers)?",
        ),
        "Send response_format with the type json_object, or json_schema with your schema.",
        "With response_format.",
    ),
    Fact(
        (
            "how do i (offer|use|pass|define) (tools|a tool|functions)?",
            "how (does|do) (tool|function) calling work?",
            "can (you|it) call (tools|functions)?",
            "how to (call|use) (tools|functions)?",
            "what is function calling?",
        ),
        "Send tools with names and JSON schemas. The model answers with tool_calls; send each "
        "result back as a tool message.",
        "Send tools, get tool_calls, send results back.",
    ),
    Fact(
        (
            "what roles (are there|can a message have)?",
            "which roles (are there|exist|do messages have)?",
            "(list|name) the (message |)roles",
            "what can (the |)role be?",
            "which values (has|does) role (have|)?",
        ),
        "The roles are system, user, assistant and tool.",
        "system, user, assistant, tool.",
    ),
)
