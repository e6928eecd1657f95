"""The parameters of `/responses` that no other route has: names and forms of its own.

Cards know them by the parameters of chat that they are lowered to.
"""

from inference.api.parameters.parameter import NOTHING, RESPONSES, Parameter, ParameterPlace, ValueKind

DERIVED, ENVELOPE = ParameterPlace.DERIVED, ParameterPlace.ENVELOPE

RESPONSE_PARAMETERS: tuple[Parameter, ...] = (
    Parameter(
        "instructions",
        RESPONSES,
        ValueKind.STRING,
        "A system message before the conversation, for this turn alone.",
        ENVELOPE,
        neutral=("",),
        max_values=None,
        max_characters=None,
    ),
    Parameter(
        "previous_response_id",
        RESPONSES,
        ValueKind.STRING,
        "The response that this one continues: its whole conversation comes first.",
        ENVELOPE,
    ),
    Parameter(
        "max_output_tokens",
        RESPONSES,
        ValueKind.INTEGER,
        "The most tokens of the answer, reasoning included. Without it what the context leaves.",
        DERIVED,
        minimum=1,
        maximum=2**31 - 1,
        declared_as=("max_tokens", "max_completion_tokens"),
    ),
    Parameter(
        "text",
        RESPONSES,
        ValueKind.OBJECT,
        "`format`: free text, any JSON object, or JSON of a schema; `verbosity`: how long answers are.",
        DERIVED,
        neutral=(NOTHING,),
        max_values=50_000,
        max_characters=500_000,
        declared_as=("response_format",),
    ),
    Parameter(
        "reasoning",
        RESPONSES,
        ValueKind.OBJECT,
        "`effort`: how much the model thinks before it answers; `summary`: the reasoning itself is "
        "returned, so `auto` is taken, `concise` and `detailed` are reported as dropped.",
        DERIVED,
        neutral=(NOTHING,),
        declared_as=("reasoning_effort",),
    ),
    Parameter(
        "include",
        RESPONSES,
        ValueKind.ARRAY,
        "`message.output_text.logprobs` asks for log probabilities, `reasoning.encrypted_content` for "
        "reasoning in a form that can be handed back without being stored.",
        ENVELOPE,
        neutral=((),),
    ),
    Parameter(
        "truncation",
        RESPONSES,
        ValueKind.STRING,
        "Whether a conversation that is too long is refused (`disabled`) or loses its oldest items (`auto`).",
        ENVELOPE,
        values=("auto", "disabled"),
        default="disabled",
        neutral=("disabled",),
    ),
    Parameter(
        "max_tool_calls",
        RESPONSES,
        ValueKind.INTEGER,
        "The most calls of one answer: 1, as `parallel_tool_calls: false`; other numbers are refused.",
        DERIVED,
        minimum=1,
        maximum=2**31 - 1,
        declared_as=("parallel_tool_calls",),
    ),
    Parameter(
        "background", RESPONSES, ValueKind.BOOLEAN, "Answer later.", DERIVED, default=False, neutral=(False,)
    ),
    Parameter(
        "background_options",
        RESPONSES,
        ValueKind.OBJECT,
        "How to answer later.",
        DERIVED,
        neutral=(NOTHING,),
    ),
    Parameter(
        "conversation",
        RESPONSES,
        ValueKind.STRING,
        "A conversation that the server keeps; `previous_response_id` is the way here.",
        DERIVED,
    ),
    Parameter(
        "context_management",
        RESPONSES,
        ValueKind.ARRAY,
        "Rules by which the server shortens a conversation.",
        DERIVED,
        neutral=((),),
    ),
    Parameter(
        "access_programs", RESPONSES, ValueKind.OBJECT, "Programs of OpenAI.", DERIVED, neutral=(NOTHING,)
    ),
    Parameter("image", RESPONSES, ValueKind.OBJECT, "Images as output.", DERIVED, neutral=(NOTHING,)),
)
NOT_SERVED: dict[str, str] = {
    "background": "responses do not run in the background here; send it without, or stream it",
    "background_options": "responses do not run in the background here",
    "conversation": "conversations are not kept here; `previous_response_id` continues a response",
    "context_management": "conversations are not shortened by rules here; `truncation: auto` drops old items",
    "access_programs": "access programs are OpenAI's own",
    "image": "models here return text",
    "moderation": "the content filter is configured by the operator here",
    "prompt": "prompts are not kept here; send `instructions` and `input`",
    "prompt_cache_options": "every prefix of a prompt is cached here, without options",
}
"""Parameters of OpenAI that no deployment has on this route, each with what is so instead."""
WORDS_HERE: dict[str, str] = {
    "messages": "input",
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
    "response_format": "text.format",
    "reasoning_effort": "reasoning.effort",
    "verbosity": "text.verbosity",
    "functions": "tools",
    "function_call": "tool_choice",
    "logprobs": "top_logprobs",
    "n": "",
}
"""Parameters of chat, and this route's word for each; empty where it has none."""
