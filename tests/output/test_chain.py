"""All stages together, over a model that writes one character a token."""

from collections.abc import Sequence

from inference.contracts import Event, Events, Finish, FinishReason, Token, ToolCallStart, Usage
from inference.output.choices import fold, merge
from inference.output.detokenize import apply_stop_strings, detokenize
from inference.output.tool_calls import parse_tool_calls
from inference.tool_formats import TOOL_FORMATS

PROMPT = Usage(prompt_tokens=7)
CALL = '<tool_call>{"name": "add", "arguments": {"a": 1}}</tool_call>'


class Characters:
    """A decoder whose token ids are code points."""

    def push(self, token_id: int, /) -> str:
        return chr(token_id)

    def flush(self) -> str:
        return ""


class Model:
    def __init__(self, text: str) -> None:
        self.text = text
        self.generated = 0
        self.closed = False

    async def generate(self) -> Events:
        try:
            for character in self.text:
                self.generated += 1
                yield Token(ord(character))
            yield Finish(FinishReason.STOP, PROMPT + Usage(completion_tokens=self.generated))
        finally:
            self.closed = True

    def reply(self, stops: Sequence[str] = ()) -> Events:
        text = apply_stop_strings(detokenize(self.generate(), Characters()), stops, PROMPT)
        hermes = TOOL_FORMATS["hermes"]
        return parse_tool_calls(text, hermes.read(["add"], hermes.new_id))


async def test_an_answer_has_its_text_and_its_call() -> None:
    reply = await fold(Model(f"I add. {CALL}").reply())
    assert reply.text == "I add."
    assert [(call.name, call.arguments) for call in reply.tool_calls] == [("add", '{"a": 1}')]
    assert reply.reason is FinishReason.TOOL_CALLS
    assert reply.usage == Usage(7, len("I add. " + CALL))


async def test_a_stop_string_stops_the_model() -> None:
    model = Model("one. two. three.")
    reply = await fold(model.reply([" t"]))
    assert (reply.text, reply.reason, reply.usage) == ("one.", FinishReason.STOP, Usage(7, 6))
    assert (model.generated, model.closed) == (6, True)


async def test_closing_the_last_stage_closes_the_model() -> None:
    model = Model(CALL)
    events = model.reply()
    assert isinstance(await anext(events), ToolCallStart)
    await events.aclose()
    assert model.closed
    assert model.generated < len(CALL)


async def test_choices_run_at_the_same_time() -> None:
    models = [Model("left"), Model(CALL), Model("")]
    choices: list[list[Event]] = [[], [], []]
    async for item in merge([model.reply() for model in models]):
        assert item is not None
        index, event = item
        choices[index].append(event)
    assert [events[-1] for events in choices] == [
        Finish(FinishReason.STOP, Usage(7, 4)),
        Finish(FinishReason.TOOL_CALLS, Usage(7, len(CALL))),
        Finish(FinishReason.STOP, Usage(7, 0)),
    ]
    assert all(model.closed for model in models)
