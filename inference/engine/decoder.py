"""What the engine asks of whoever runs the numbers."""

from __future__ import annotations

from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from inference.contracts import TokenIds

Logits: TypeAlias = NDArray[np.float32]
Counts: TypeAlias = NDArray[np.int64]


class Decoder(Protocol):
    """A causal language model over the rows of the `KVCache` it was built on.

    Called from one thread at a time. A row's result must not depend on the other rows of a call. Any
    exception means that the call failed: what the cache then holds at the positions it was to write is of no
    use, and all other positions are as they were.
    """

    @property
    def vocabulary(self) -> int:
        """How many token ids there are to choose from."""
        ...

    def prefill(self, row: int, tokens: TokenIds, past: int) -> Logits:
        """Runs tokens at positions `past` and on of one row.

        Gives the logits after the last one, [vocabulary]; they may be overwritten by the caller, and are by
        the next call.
        """
        ...

    def decode(self, tokens: Counts, lengths: Counts) -> Logits:
        """Runs one token on each of the rows 0 to n - 1.

        `tokens` and `lengths`, [n]: row r's token stands at position `lengths[r]` - 1. Gives [n, vocabulary],
        with the same freedom and the same end as those of `prefill`.
        """
        ...

    def close(self) -> None: ...
