"""Child processes that a test interrupts."""

import signal


def listen() -> None:
    """To be run in the child: SIGINT ends it as from a terminal.

    A shell has what it runs in the background ignore it, and tests run there too.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
