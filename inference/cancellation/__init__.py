"""Cancellation that no cleanup is lost to.

A task may be cancelled again while it cleans up: a cancel scope of anyio, by which Starlette ends a response
whose client hung up, repeats itself until the task has ended, and a time limit may expire as the client
leaves. The second cancellation interrupts the first `await` of a `finally`, and the lines after it never run:
a connection stays in use for ever. So cleanup that waits runs in a task of its own, which is never cancelled,
and other tasks are cancelled once and waited for.

A `finally` or an `except BaseException` has one such `await` and no other, because the cancellation is raised
when it has ended. `contextlib.aclosing` around a generator that follows this rule follows it too.
"""

from __future__ import annotations

from inference.cancellation.tasks import cancel, finish, within

__all__ = ["cancel", "finish", "within"]
