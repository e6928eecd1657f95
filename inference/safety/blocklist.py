"""Lists of phrases that judge on this machine, and the rules of the emulator: one line a rule.

    # a comment
    chopping tomatoes                        an item of the list, which has the file's name
    list slang: some words                   an item of the list `slang`
    violence 4: chopping tomatoes            a harm with its severity, 1 to 7
    jailbreak: ignore all instructions       a finding: jailbreak, indirect_attack, protected_material_text or
                                             protected_material_code

A phrase is found whatever its case, its spaces and its compatibility forms are, and only as whole words.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from inference.contracts import HarmCategory
from inference.safety.moderator import ALL
from inference.safety.verdict import Detection, FilterChecks, Verdict, worst

if TYPE_CHECKING:
    from inference.contracts import ImageArray

LONGEST = 128
"""Characters of an item, as the service's own blocklists allow."""
RULE = re.compile(r"(?P<word>[a-z_]+)(?:\s+(?P<value>[\w.~-]+))?\s*:\s*(?P<phrase>.+)")
INVISIBLE = re.compile("[\u00ad\u200b-\u200d\u2060\ufeff]")


class BlocklistError(ValueError):
    """A line that is no rule; the message names the file, the line and what is wrong."""


@dataclass(frozen=True, slots=True)
class BlocklistRule:
    """Words, and what a text is that has them."""

    pattern: re.Pattern[str]
    verdict: Verdict

    def within(self, text: str) -> bool:
        """Whether a text that `plain` gave has the words."""
        return self.pattern.search(text) is not None


def read_blocklist(path: Path) -> list[BlocklistRule]:
    """The rules of a file. Raises `BlocklistError`."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BlocklistError(f"{path} cannot be read: {error}") from None
    return list(_phrases(lines, path))


def _phrases(lines: Iterable[str], path: Path) -> Iterator[BlocklistRule]:
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.lstrip().startswith("#"):
            try:
                yield phrase(line.strip(), path.stem)
            except ValueError as error:
                raise BlocklistError(f"{path}, line {number}: {error}") from None


def phrase(line: str, name: str) -> BlocklistRule:
    """One rule; an item without a kind belongs to the list `name`. Raises `ValueError`."""
    match = RULE.fullmatch(line)
    words, verdict = line, None
    if match is not None:
        verdict = _verdict(match["word"], match["value"])
        words = match["phrase"] if verdict else line
    if len(words) > LONGEST:
        raise ValueError(f"a phrase has at most {LONGEST} characters, this one {len(words)}")
    return BlocklistRule(pattern(words), verdict or Verdict(blocklists=frozenset({name})))


def _verdict(kind: str, value: str | None) -> Verdict | None:
    """What a rule's words stand for; None when they are no rule but the begin of an item."""
    if kind == "list" and value:
        return Verdict(blocklists=frozenset({value}))
    if kind in set(Detection) and value is None:
        return Verdict(found=frozenset({Detection(kind)}))
    if kind in set(HarmCategory):
        if value is None or value not in "1234567" or len(value) != 1:
            raise ValueError(f"{kind} needs a severity from 1 to 7")
        return Verdict({HarmCategory(kind): int(value)})
    return None


def plain(text: str) -> str:
    """A text as phrases are looked for in it."""
    folded = unicodedata.normalize("NFKC", INVISIBLE.sub("", text)).casefold()
    return re.sub(r"\s+", " ", folded)


def pattern(words: str) -> re.Pattern[str]:
    """What finds words in a text that `plain` gave. Raises `ValueError` when there are none."""
    text = plain(words).strip()
    if not text:
        raise ValueError("the phrase is empty")
    return re.compile(r"(?<!\w)" + re.escape(text) + r"(?!\w)")


class Blocklist:
    """A `Moderator` by lists of phrases."""

    name = "phrases"
    categories = ALL
    findings = frozenset(Detection)
    sees = False
    limited = False

    def __init__(self, phrases: Sequence[BlocklistRule]) -> None:
        self._phrases = tuple(phrases)

    @classmethod
    def read(cls, paths: Iterable[Path]) -> Blocklist:
        """Raises `BlocklistError`."""
        return cls([rule for path in paths for rule in read_blocklist(path)])

    async def judge(self, text: str, checks: FilterChecks) -> Verdict:
        """What is found of what is asked for; its own lists count unasked, because they are this file's."""
        searched = plain(text)
        found = worst(rule.verdict for rule in self._phrases if rule.within(searched))
        return Verdict(
            {category: found.severities.get(category, 0) for category in checks.categories},
            found.blocklists if checks.categories or checks.blocklists else frozenset(),
            found.found & checks.findings,
        )

    async def look(self, picture: ImageArray, checks: FilterChecks) -> Verdict:  # noqa: ARG002  it cannot see
        return Verdict()

    async def aclose(self) -> None:
        """Holds nothing."""
