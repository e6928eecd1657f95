"""The recorded outcome of the last run of every client: `outcomes.json`, the source of the page's table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

RECORD = Path(__file__).with_name("outcomes.json")
LONGEST_REMARK = 240


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one case; of the whole client where `case` is empty."""

    client: str
    case: str
    passed: bool
    remark: str = ""

    @property
    def last_line(self) -> str:
        """The last line of the remark, which of a failure is the error."""
        return (self.remark.strip().splitlines() or [""])[-1].strip()[:LONGEST_REMARK]


@dataclass(frozen=True, slots=True)
class ClientRecord:
    """The outcome of a client's last run: its day, the versions, passed cases, and errors of the others."""

    date: str
    runtime: str
    packages: Mapping[str, str]
    passed: Sequence[str] = ()
    failed: Mapping[str, str] = field(default_factory=dict)


def read_record() -> dict[str, ClientRecord]:
    """Return the recorded outcomes by client."""
    if not RECORD.is_file():
        return {}
    clients = json.loads(RECORD.read_text(encoding="utf-8"))
    return {name: ClientRecord(**record) for name, record in clients.items()}


def write_record(record: Mapping[str, ClientRecord]) -> None:
    """Write the recorded outcomes."""
    clients = {name: asdict(record[name]) for name in sorted(record)}
    RECORD.write_text(json.dumps(clients, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
