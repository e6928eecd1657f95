"""The part of docs/clients.md that is made from the recorded outcomes.

python -m tests.clients.page
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from inference.settings import PROJECT
from tests.clients.clients import KINDS, Client, clients
from tests.clients.outcomes import ClientRecord, read_record

PAGE = PROJECT / "docs" / "clients.md"
BEGINNING, END = "<!-- made by `make clients`: -->", "<!-- :made by `make clients` -->"


def generated_part() -> str:
    """Return the table, the errors that it shows, and a note to the users of each client."""
    known, record = clients(), read_record()
    rows = [(known[name], record[name]) for name in known if name in record]
    lines = [_facts(record), "", _heading(), *(_row(client, run) for client, run in rows)]
    failures = [line for client, run in rows for line in _failures(client, run)]
    lines += ["", "Failed:", "", *failures] if failures else ["", "No case failed."]
    return "\n".join([*lines, "", *dict.fromkeys(_note(client) for client, _ in rows)])


def page_with(part: str, page: str) -> str:
    """Return the page with another generated part."""
    before, rest = page.split(BEGINNING)
    return f"{before}{BEGINNING}\n\n{part}\n\n{END}{rest.split(END)[1]}"


def write_page() -> None:
    """Write the generated part into the page."""
    PAGE.write_text(page_with(generated_part(), PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def _facts(record: Mapping[str, ClientRecord]) -> str:
    runs = record.values()
    dates, runtimes = sorted({run.date for run in runs}), sorted({run.runtime for run in runs})
    days = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    cases = sum(len(run.passed) + len(run.failed) for run in runs)
    return f"Run on {days} with {', '.join(runtimes)}: {len(record)} clients, {cases} cases."


def _heading() -> str:
    headings = ("client", "packages", *KINDS.values(), "more cases")
    return f"| {' | '.join(headings)} |\n|{'---|' * len(headings)}"


def _row(client: Client, run: ClientRecord) -> str:
    packages = ", ".join(f"`{name}` {version}" for name, version in run.packages.items())
    marks = [_mark(kind, client, run) for kind in KINDS]
    passed, failed = (len(set(cases) - KINDS.keys()) for cases in (run.passed, run.failed))
    more = f"{passed}, {failed} failed" if failed else str(passed)
    return f"| {_title(client)} | {packages} | {' | '.join(marks)} | {more} |"


def _mark(kind: str, client: Client, run: ClientRecord) -> str:
    if kind in run.passed:
        return "yes"
    return "fails" if kind in run.failed else "-" if kind in client.lacks else "not run"


def _failures(client: Client, run: ClientRecord) -> Iterator[str]:
    for case, error in run.failed.items():
        yield f"- {_title(client)}, {case.replace('_', ' ')}: `{error.replace('`', '')}`"


def _title(client: Client) -> str:
    return client.about.partition("\n")[0].rstrip(".")


def _note(client: Client) -> str:
    note = " ".join(client.about.partition("\n")[2].split())
    return f"- **{_title(client)}**: {note}"


if __name__ == "__main__":
    write_page()
