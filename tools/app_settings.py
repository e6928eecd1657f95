"""`python -m tools.app_settings`: the settings in APP_SETTINGS, checked before they are deployed.

The templates pass them on as they are: an unknown name would have no effect, and a value that cannot be
parsed would keep the app from starting, where it is deployed and not before.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator

from inference.settings import PREFIX, InvalidSetting, Settings, unknown_variables

VARIABLE = "APP_SETTINGS"
"""Read by `infra/*.bicepparam` and `infra/main.parameters.json`."""
EXAMPLE = '{"INFERENCE_SLOTS": "4"}'


def problems(variable: str) -> Iterator[str]:
    """Yield a sentence about everything in the JSON of the variable that the app could not use."""
    try:
        given = json.loads(variable)
    except ValueError as error:
        yield f"{VARIABLE} is not JSON ({error}). It is an object of names and texts: {EXAMPLE}."
        return
    if not isinstance(given, dict):
        yield f"{VARIABLE} is not an object of names and texts: {EXAMPLE}."
        return
    yield from unknown_variables(given)
    for name, value in given.items():
        if not isinstance(value, str):
            shown, text = json.dumps(value), json.dumps(str(value))
            yield f"{name} is {shown}: the value of a setting is a text, {text}."
        elif name.startswith(PREFIX) and not unknown_variables({name: value}):
            yield from _unreadable(name, value)


def _unreadable(name: str, value: str) -> Iterator[str]:
    try:
        Settings.from_environment({name: value})
    except InvalidSetting as error:
        yield f"{error}."


def main() -> int:
    """Return 0, or 1 with sentences on stderr."""
    found = list(problems(os.environ.get(VARIABLE) or "{}"))
    sys.stderr.writelines(f"{sentence}\n" for sentence in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
