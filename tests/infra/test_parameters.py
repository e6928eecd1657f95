"""Parameters: described, documented, the same at every entry, and free of secrets in the files of values."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

import pytest

from inference.settings import PROJECT
from tests.infra.bicep import INFRA, Declaration, everything, named

README = (INFRA / "README.md").read_text(encoding="utf-8")
ENTRIES = ("main.bicep", "aca/main.bicep")


def test_everything_that_is_asked_or_told_is_described() -> None:
    for declaration in everything():
        if declaration.keyword in ("param", "output", "type", "func"):
            assert declaration.description.endswith((".", "…")), f"{declaration.file}: {declaration.name}"


@pytest.mark.parametrize("template", ENTRIES)
def test_the_page_has_a_row_for_every_parameter_and_output(template: str) -> None:
    for parameter in named(template, "param").values():
        assert parameter.row in README, f"infra/README.md should have\n{parameter.row}"
    for output in named(template, "output").values():
        assert f"| `{output.name}` | {output.description} |" in README


def test_the_group_takes_what_the_subscription_takes() -> None:
    main, group = named("main.bicep", "param"), named("group.bicep", "param")
    assert set(main) - set(group) == {"resourceGroupName"}
    assert set(group) <= set(main)
    for name in set(group) - {"location"}:
        assert (main[name].of, main[name].value) == (group[name].of, group[name].value), name
        assert main[name].decorators == group[name].decorators, name
    passed = named("main.bicep", "module")["resources"].get("params")
    assert passed == {name: name for name in group}


def test_the_subscription_tells_what_the_group_tells() -> None:
    main, group = named("main.bicep", "output"), named("group.bicep", "output")
    assert set(main) - set(group) == {"AZURE_RESOURCE_GROUP", "AZURE_LOCATION"}
    for name, output in group.items():
        assert main[name].value == f"resources.outputs.{name}"
        assert main[name].description == output.description


@dataclass(frozen=True, slots=True)
class Variable:
    """The environment variable that a file of values reads for a parameter, and its default as text."""

    name: str
    default: str


READ = re.compile(r"(?:(?:int|bool|json)\()?readEnvironmentVariable\('([A-Z_]+)', '([^']*)'\)\)?")
SUBSTITUTED = re.compile(r"\$\{([A-Z_]+)(?:=(.*))?\}")
REQUIRED = {"environmentName": "inference", "location": "swedencentral"}
"""Values of the parameters that a template has no default for; azd asks for them instead."""
NOT_GIVEN = {
    "main.bicep": {"thisMonth"},
    "group.bicep": {"thisMonth", "location"},
    "aca/main.bicep": {"location"},
}
"""Parameters that are not for setting: this month, and the region of a group that exists."""


def variables(file: str) -> dict[str, Variable]:
    """Return the variables of a `.bicepparam` by parameter; every line reads one."""
    text = (INFRA / file).read_text(encoding="utf-8")
    values = dict(re.findall(r"^param (\w+) = (.*)$", text, re.MULTILINE))
    matches = {name: READ.fullmatch(value) for name, value in values.items()}
    return {name: Variable(match[1], match[2]) for name, match in matches.items() if match is not None}


def default(parameter: Declaration) -> str:
    """Return a template's default as an environment variable would spell it."""
    if isinstance(parameter.value, bool):
        return str(parameter.value).lower()
    if parameter.value is None:
        return REQUIRED[parameter.name]
    return "{}" if parameter.value == {} else str(parameter.value)


@pytest.mark.parametrize("template", NOT_GIVEN)
def test_every_parameter_is_read_from_the_environment(template: str) -> None:
    known = named(template, "param")
    given = variables(template.replace(".bicep", ".bicepparam"))
    assert set(given) == set(known) - NOT_GIVEN[template]
    assert {name: variable.default for name, variable in given.items()} == {
        name: default(known[name]) for name in given
    }


def test_one_variable_means_the_same_parameter_in_every_file() -> None:
    names = {
        (parameter, variable.name)
        for template in NOT_GIVEN
        for parameter, variable in variables(template.replace(".bicep", ".bicepparam")).items()
    }
    assert len({parameter for parameter, _ in names}) == len(names) == len({name for _, name in names})


def test_azd_reads_the_same_variables_whichever_file_it_takes() -> None:
    """It takes main.bicepparam where there is one; older versions take main.parameters.json."""
    values = json.loads((INFRA / "main.parameters.json").read_text(encoding="utf-8"))["parameters"]
    known, given = named("main.bicep", "param"), variables("main.bicepparam")
    assert list(values) == list(given)
    for name, value in values.items():
        match = SUBSTITUTED.fullmatch(value["value"])
        assert match is not None, name
        expected = "" if known[name].value is None else default(known[name])
        assert Variable(match[1], match[2] or "") == Variable(given[name].name, expected)


def test_azd_remembers_where_the_budget_began() -> None:
    assert variables("main.bicepparam")["budgetStart"].name == "BUDGET_START"
    assert "BUDGET_START" in named("main.bicep", "output")


def test_regions_are_offered_in_one_spelling() -> None:
    (allowed,) = (text for text in named("main.bicep", "param")["location"].decorators if "allowed" in text)
    flex = re.findall(r"'(\w+)'", allowed)
    safety = named("types.bicep", "var")["safetyRegions"].value
    for regions in (flex, safety):
        assert regions == sorted(set(regions))
        assert all(re.fullmatch(r"[a-z]+\d?", region) for region in regions)
    assert len(set(flex) & set(safety)) > 20


def test_the_pages_name_files_that_exist() -> None:
    for page in (INFRA / "README.md", PROJECT / "docs" / "deploying.md"):
        text = page.read_text(encoding="utf-8")
        for link in re.findall(r"\]\((?!http)([^)#]+)[^)]*\)", text):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
        for file in set(
            re.findall(r"infra/[\w./-]+\.(?:bicep|bicepparam|lock|txt)\b|infra/aca/Dockerfile", text)
        ):
            assert (PROJECT / file).is_file(), f"{page.name}: {file}"


def test_deploying_ends_with_trying_it() -> None:
    last = (PROJECT / "docs" / "deploying.md").read_text(encoding="utf-8").split("\n## ")[-1]
    assert last.startswith("Try it")
    assert "python -m inference smoke ENDPOINT" in last
