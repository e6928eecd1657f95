"""`python -m tools.modules_run`: count and name the modules of `inference` that run for one streamed chat.

A module runs when a line of it executes, in any thread, between the call of the trigger in `function_app.py`
and the first chunk with text. The model is open already: the same chat was answered once before. The count
says how many files a reader opens who follows one request.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from collections.abc import AsyncIterator
from types import FrameType
from typing import Any

PACKAGE = "inference"
GENERATED = "<string>"
"""The file name of code that is made while a module is imported, such as the `__init__` of a dataclass."""
BODY = {"model": "starter-chat", "messages": [{"role": "user", "content": "Hello!"}], "stream": True}
SETTINGS = {"AZURE_FUNCTIONS_ENVIRONMENT": "Development"}
"""The app answers a caller on this machine without a key."""


class ModuleRecorder:
    """A profile function that collects the package's modules while it is switched on."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.on = False

    def __call__(self, frame: FrameType, *_: Any) -> None:
        """Note the module of a frame that is entered, left, or calls into C."""
        name = str(frame.f_globals.get("__name__"))
        if self.on and name.partition(".")[0] == PACKAGE and frame.f_code.co_filename != GENERATED:
            self.names.add(name)

    def install(self) -> None:
        """Follow this thread, and every thread that starts from now on."""
        threading.setprofile(self)
        sys.setprofile(self)

    def remove(self) -> None:
        """Follow no thread that starts from now on, nor this one."""
        sys.setprofile(None)
        threading.setprofile(None)


async def chat() -> AsyncIterator[dict[str, Any]]:
    """Yield the chunks of one streamed chat, as the trigger of `function_app.py` answers it."""
    from starlette.requests import Request

    import function_app

    unread = [{"type": "http.request", "body": json.dumps(BODY).encode(), "more_body": False}]

    async def receive() -> dict[str, Any]:
        return unread.pop() if unread else await asyncio.Future()

    headers = [(b"content-type", b"application/json")]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/chat/completions",
        "query_string": b"",
        "headers": headers,
    }
    trigger = function_app.chat_completions.build().get_user_function()
    response = await trigger(Request(scope, receive))
    async for event in response.body_iterator:
        data = event.decode().removeprefix("data: ").strip()
        if data != "[DONE]":
            yield json.loads(data)


def has_text(chunk: dict[str, Any]) -> bool:
    """Return whether a chunk shows text to the caller."""
    return any(choice["delta"].get("content") for choice in chunk["choices"])


async def record(recorder: ModuleRecorder) -> None:
    """Answer one chat to open the model, then record a second one up to its first text."""
    async for _ in chat():
        pass
    recorder.on = True
    async for chunk in chat():
        recorder.on = recorder.on and not has_text(chunk)


def modules_run() -> list[str]:
    """Return the names of the modules that run for one streamed chat, sorted.

    The settings of the environment are left out, so that the count is the same everywhere.
    """
    for name in [name for name in os.environ if name.startswith("INFERENCE_")]:
        del os.environ[name]
    os.environ.update(SETTINGS)
    recorder = ModuleRecorder()
    recorder.install()
    try:
        asyncio.run(record(recorder))
    finally:
        recorder.remove()
    return sorted(recorder.names)


if __name__ == "__main__":
    found = modules_run()
    sys.stdout.write("\n".join([*found, f"{len(found)} modules", ""]))
