"""The workflow that deploys, and what azd is told. Read as text: YAML is nothing the project depends on."""

from __future__ import annotations

import re

from inference.settings import PROJECT

WORKFLOW = (PROJECT / ".github" / "workflows" / "deploy.yml").read_text(encoding="utf-8")
AZD = (PROJECT / "azure.yaml").read_text(encoding="utf-8")


def job(name: str) -> str:
    match = re.search(rf"^  {name}:\n((?:(?:    .*)?\n)+)", WORKFLOW, re.MULTILINE)
    assert match is not None, name
    return match[1]


def test_no_secret_is_kept_at_github() -> None:
    assert "secrets." not in WORKFLOW
    assert "client-secret" not in WORKFLOW
    for name in ("what-if", "deploy"):
        assert "id-token: write" in job(name)
        assert "azure/login@v2" in job(name)
    for name in ("templates", "test"):
        assert "id-token" not in job(name)


def test_the_real_compiler_reads_every_entry() -> None:
    templates = job("templates")
    assert "az bicep build --file" in templates
    assert "az bicep lint --file" in templates
    for entry in ("infra/main.bicep", "infra/group.bicep", "infra/aca/main.bicep"):
        assert entry in templates
        assert f"{entry}param" in templates
    assert "az deployment sub what-if" in job("what-if")


def test_tests_come_first_and_the_smoke_test_last() -> None:
    deploy = job("deploy")
    assert "needs: [test, what-if]" in deploy
    assert "needs: templates" in job("what-if")
    assert "bash .ci/run" in job("test")
    assert deploy.rstrip().splitlines()[-1].strip().startswith("python -m inference smoke")


def test_the_key_is_masked_before_it_is_used() -> None:
    deploy = job("deploy")
    assert deploy.index("::add-mask::") < deploy.index("export INFERENCE_API_KEYS")
    assert "--key" not in deploy, "a key on the command line is seen by every process"


def test_forks_and_repositories_without_azure_stop_after_the_templates() -> None:
    assert "vars.AZURE_CLIENT_ID != ''" in job("what-if")
    assert "head.repo.full_name == github.repository" in job("what-if")


def test_azd_deploys_this_folder_to_the_tagged_app() -> None:
    assert re.search(
        r"^  api:\n    project: \.\n    language: python\n    host: function$", AZD, re.MULTILINE
    )
    app = (PROJECT / "infra" / "modules" / "app.bicep").read_text(encoding="utf-8")
    assert "'azd-service-name': 'api'" in app
    assert "path: infra" in AZD


def test_settings_of_the_app_are_checked_before_they_are_deployed() -> None:
    assert "python3 -m tools.app_settings" in job("templates")
    assert re.search(
        r"^  preprovision:\n    posix:\n.*\n      run: python3 -m tools.app_settings$", AZD, re.MULTILINE
    )
