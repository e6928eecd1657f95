"""Texts already judged, remembered by hash: a chat that grows is judged once a turn, not once a request."""

from __future__ import annotations

from collections import OrderedDict
from hashlib import sha256

from inference.safety.verdict import FilterChecks, Verdict

MOST = 20_000
"""Verdicts kept; some 300 bytes each."""
DIGEST = 12
"""Hex digits of a text's hash in the log: enough to find the same text again, and nothing of it."""


class VerdictCache:
    """The verdicts of the texts judged last. No text is kept."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._verdicts: OrderedDict[bytes, Verdict] = OrderedDict()

    def recall(self, text: str, checks: FilterChecks) -> Verdict | None:
        """The verdict of the same text under the same checks."""
        key = _key(text, checks)
        verdict = self._verdicts.get(key)
        if verdict is not None:
            self._verdicts.move_to_end(key)
        return verdict

    def keep(self, text: str, checks: FilterChecks, verdict: Verdict) -> None:
        """Remembers a verdict, unless somebody did not judge."""
        if verdict.failure:
            return
        self._verdicts[_key(text, checks)] = verdict
        if len(self._verdicts) > self._most:
            self._verdicts.popitem(last=False)


def digest(text: str) -> str:
    """What the log says of a text."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:DIGEST]


def _key(text: str, checks: FilterChecks) -> bytes:
    asked = (sorted(checks.categories), sorted(checks.blocklists), sorted(checks.findings))
    return sha256(f"{asked}\n{text}".encode("utf-8", "surrogatepass")).digest()
