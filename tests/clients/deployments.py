"""The deployments that the clients talk to."""

from __future__ import annotations

from pathlib import Path

from tests.http.scripts import write_script
from tests.http.zoo import LONG, forms, tools, write_several

VERDICT = (b"<S0>It reads well.</S0>", b"<S1>No errors.</S1>", b"<S2>", b"4", b"</S2>")
"""An evaluator's answer in the form that its prompt asks for."""
VERDICT_IN_JSON = (b'{"reason": "It reads well.", "score": ', b"4, ", b'"status": "completed"}')
"""The same in the form that later evaluators ask for."""
ENDLESS_REASON = (b'"reason": "It depends", ',)
"""What follows a brace, and itself, for as long as there is room."""
JOKE = (b'{"joke": "Why not?", ', b'"laughs": 3}')
"""An object for those who ask for any."""
KERNEL_CALL = (
    b"<tool_call>",
    b'{"name": "Weather-get_weather", ',
    b'"arguments": {"city": "Paris"}}',
    b"</tool_call>",
)
"""A call of a function by the name that Semantic Kernel gives it."""


def write_deployments(folder: Path) -> Path:
    """Those of the tests; some that answer, judge or call in the forms asked for, some that do not judge."""
    write_several(folder)
    write_script(folder, JOKE, name="joker", context=LONG, card=forms())
    write_script(folder, VERDICT, name="judge", context=LONG)
    write_script(folder, VERDICT_IN_JSON, name="json-judge", context=LONG, card=forms())
    write_script(folder, VERDICT[3:4], name="rater", context=LONG)
    write_script(folder, (b"I ", b"cannot ", b"say"), name="undecided", context=LONG)
    write_script(folder, (b'{"remark": "I cannot say"}',), name="json-undecided", context=LONG, card=forms())
    write_script(folder, ENDLESS_REASON, name="json-rambler", context=LONG, card=forms(), loops=True)
    write_script(folder, KERNEL_CALL, name="kernel-caller", context=LONG, card={"parameters": tools()})
    return folder
