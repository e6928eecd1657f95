"""Runs the cases of one script, in the environment of the client that it is about; standard library only.

A case is a function of the script whose name begins with `case_`; it takes the endpoint and a key, and
returns a remark for the table, or nothing. The scripts import `expected` from this folder. One line of JSON
a case goes to standard output, after a mark that sets it apart from what the packages print.
"""

import asyncio
import inspect
import json
import runpy
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

MARK = "\x1ecase "

Case = Callable[[str, str], Any]


def cases_of(script: str) -> Iterator[tuple[str, Case]]:
    for name, value in runpy.run_path(script).items():
        if name.startswith("case_"):
            yield name.removeprefix("case_"), value


def outcome(case: Case, endpoint: str, key: str) -> dict[str, Any]:
    try:
        remark = case(endpoint, key)
        if inspect.iscoroutine(remark):
            remark = asyncio.run(remark)
    except Exception as error:
        return {"passed": False, "remark": f"{traceback.format_exc()}\n{in_one_line(error)}"}
    return {"passed": True, "remark": remark or ""}


def in_one_line(error: Exception) -> str:
    """Return the kind of an error and its message, or the line that raised it if it has none."""
    message = " ".join(str(error).split()) or traceback.extract_tb(error.__traceback__)[-1].line
    return f"{type(error).__name__}: {message}"


def main(script: str, endpoint: str, key: str) -> None:
    sys.path.append(str(Path(__file__).parent))
    for name, case in cases_of(script):
        print(f"\n{MARK}{json.dumps({'case': name, **outcome(case, endpoint, key)})}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
