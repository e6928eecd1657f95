"""Parameters: described, documented, the same at every entry, and free of secrets in the files of values."""

from __future__ import annotations

import json
import re

import pytest

from inference.settings import PROJECT
from tests.infra.bicep import INFRA, everything, named

README = (INFRA / "README.md").read_text(encoding="utf-8")
ENTRIES = ("main.bicep", "aca/main.bicep")
VALUES = ("main.bicepparam", "group.bicepparam", "aca/main.bicepparam")


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


@pytest.mark.parametrize("name", VALUES)
def test_values_name_parameters_and_keep_secrets_out(name: str) -> None:
    text = (INFRA / name).read_text(encoding="utf-8")
    using = re.search(r"^using '([^']+)'", text, re.MULTILINE)
    assert using is not None
    template = (INFRA / name).parent / using[1]
    known = named(template.relative_to(INFRA).as_posix(), "param")
    given = dict(re.findall(r"^param (\w+) = (.*)$", text, re.MULTILINE))
    assert set(given) <= set(known)
    assert {parameter for parameter, found in known.items() if found.value is None} <= set(given)
    assert given["apiKeys"] == "readEnvironmentVariable('INFERENCE_API_KEYS', '')"


def test_azd_can_give_every_parameter_that_is_one_word() -> None:
    values = json.loads((INFRA / "main.parameters.json").read_text(encoding="utf-8"))["parameters"]
    known = named("main.bicep", "param")
    assert set(values) <= set(known)
    for name, value in values.items():
        match = re.fullmatch(r"\$\{([A-Z_]+)(?:=(.*))?\}", value["value"])
        assert match is not None, name
        default = known[name].value
        shown = (
            str(default).lower() if isinstance(default, bool) else str(default or "" if default != 0 else 0)
        )
        assert (match[2] or "") == shown, name


def test_azd_remembers_where_the_budget_began() -> None:
    values = json.loads((INFRA / "main.parameters.json").read_text(encoding="utf-8"))["parameters"]
    assert values["budgetStart"]["value"] == "${BUDGET_START}"
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
