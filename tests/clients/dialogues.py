"""Scripted deployments that call a tool first and answer once they see its result.

The chat template ends a prompt whose last message is a tool's result with a token of its own, a cue; the
cue leads to the answer as the line break that ends every other prompt leads to the call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.http.scripts import write_script
from tests.http.zoo import LONG

CUE = "<|result|>"
TEMPLATE = f"""\
{{%- if tools %}}{{{{ '<|im_start|>system\\n' + tools | tojson + '<|im_end|>\\n' }}}}{{% endif %}}
{{%- for message in messages %}}
{{{{- '<|im_start|>' + message.role + '\\n' + (message.content or '') }}}}
{{%- for call in message.tool_calls or [] %}}{{{{ call | tojson }}}}{{% endfor %}}
{{{{- '<|im_end|>\\n' }}}}
{{%- endfor %}}
{{%- if add_generation_prompt %}}{{{{ '<|im_start|>assistant\\n' }}}}
{{%- if messages[-1].role == 'tool' %}}{{{{ '{CUE}' }}}}{{% endif %}}{{% endif %}}"""

THINKING_TEMPLATE = (
    TEMPLATE.replace(
        "(message.content or '')",
        "(effort or '') + (message.reasoning_content or '') + (message.content or '')",
    )
).replace("messages[-1].role == 'tool'", "messages[-1].role == 'tool' and messages[-2].reasoning_content")
"""The same; the cue follows the result of a call whose reasoning is in the history."""


def call_of(function: str) -> tuple[bytes, ...]:
    """Return the pieces of a call of `function`, with the city of every script, as a grammar asks for it.

    A piece begins wherever a grammar lets the model choose. None is a bare line break, which ends a prompt.
    """
    name = f'{function}", "arguments": {{"city": "'.encode()
    return (b"<tool_call>", b'\n{"name": "', name, b'Paris"}}\n', b"</tool_call>")


def write_dialogue(
    folder: Path,
    call: Sequence[bytes],
    answer: Sequence[bytes],
    *,
    name: str,
    card: Mapping[str, Any],
    template: str = TEMPLATE,
) -> Path:
    """Write a deployment that says `call`, and `answer` to a prompt that ends in a tool's result.

    No piece comes twice in the two together.
    """
    script = [*call, CUE.encode(), *answer]
    target = write_script(folder, script, name=name, context=LONG, card=card, pause=len(call))
    (target / "chat_template.jinja").write_text(template)
    return target
