"""An endpoint behind a content filter, and the service that filters: the emulator, in this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from inference.contracts import HarmCategory
from inference.safety.verdict import Verdict
from tests.http.scripts import write_script
from tests.http.servers import Server, running
from tests.http.zoo import EMBEDDING, ROUND, tools
from tests.safety.emulating import KEY, RULES, Emulator, emulator, server_of
from tests.support.encoders import write_image_encoder, write_text_encoder

INTRODUCTION = (
    "Chopping tomatoes and cutting them into cubes or wedges are great ways to practice your knife skills."
)
"""The sample of the API's introduction, which is to be blocked where the configuration says so."""
STORY = tuple(f"This is sentence {number} of a harmless story. " for number in range(12))
FORBIDDEN = "forbidden words"
CONTEXT = 4096
POLITE = "".join(STORY)
RUDE = (*STORY[:6], "And now the forbid", "den words, ", "and again: forbidden ", "words. ", *STORY[6:])
"""Pieces of an answer that must end before its middle."""
CALL = (
    '<tool_call>{"name": "get_weather", ',
    '"arguments": {"city": "the forbidden ',
    'words"}}</tool_call>',
)
ESCAPED_CALL = (
    '<tool_call>{"name": "get_weather", ',
    '"arguments": {"city": "the \\u0066\\u006Frbid',
    "den\\n\\u00",
    '77ords"}}</tool_call>',
)
ESCAPED_JSON = ('{"note": "the \\u0066\\u006', "frbidden\\u0020wo", '\\u0072ds"}')
"""Forbidden words in escapes of JSON, which pieces cut."""


@dataclass(frozen=True, slots=True)
class Filtered:
    """The endpoint and who filters for it."""

    server: Server
    azure: Emulator


def write_filtered(folder: Path) -> Path:
    """What says harmless and forbidden things, and what embeds."""
    write_script(folder, _bytes(STORY), name="polite", context=CONTEXT)
    write_script(folder, _bytes(RUDE), name="rude", context=CONTEXT)
    write_script(folder, _bytes(CALL), name="caller", context=CONTEXT, card={"parameters": tools()})
    write_script(folder, _bytes(ESCAPED_CALL), name="escaper", context=CONTEXT, card={"parameters": tools()})
    write_script(folder, _bytes(ESCAPED_JSON), name="noter", context=CONTEXT)
    write_script(folder, ROUND, name="endless", context=CONTEXT, loops=True)
    off = {"content_safety": {"output": {"violence": {"action": "off"}, "hate": {"action": "annotate"}}}}
    write_script(folder, _bytes(RUDE), name="free", context=CONTEXT, card=off)
    write_text_encoder(folder, name="tiny-embed", card={"embedding": EMBEDDING})
    write_image_encoder(folder, with_text=False)
    return folder


def _bytes(pieces: Sequence[str]) -> list[bytes]:
    return [piece.encode() for piece in pieces]


@contextmanager
def filtering(models: Path, log: Path, *rules: str, **settings: str) -> Iterator[Filtered]:
    """An endpoint whose texts are judged by the emulator; pictures are all found sexual, and mildly."""
    picture = Verdict({HarmCategory.SEXUAL: 2})
    with emulator(server_of((*RULES, *rules), picture)) as azure:
        by = {"INFERENCE_CONTENT_SAFETY_ENDPOINT": azure.url, "INFERENCE_CONTENT_SAFETY_KEY": KEY}
        with running(models, log, **(by | settings)) as server:
            yield Filtered(server, azure)
