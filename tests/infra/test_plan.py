"""The plan, its scale, and the settings of the app, against `settings.py`."""

from __future__ import annotations

import json
import re
from dataclasses import fields

import pytest

from inference.settings import PROJECT, Container, Settings
from tests.infra.bicep import INFRA, named, templates

VARIABLES = {setting.metadata["variable"]: setting for setting in fields(Settings)}
PLATFORM = {
    "AzureWebJobsStorage__accountName",
    "AzureWebJobsStorage__credential",
    "AzureWebJobsStorage__clientId",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    "AZURE_CLIENT_ID",
    "PYTHON_ENABLE_INIT_INDEXING",
}
"""What the host, the worker and the identity's clients read."""
FLEX_FORBIDS = {
    "FUNCTIONS_WORKER_RUNTIME",
    "FUNCTIONS_EXTENSION_VERSION",
    "WEBSITE_RUN_FROM_PACKAGE",
    "WEBSITE_CONTENTSHARE",
    "WEBSITE_CONTENTAZUREFILECONNECTIONSTRING",
    "WEBSITE_VNET_ROUTE_ALL",
    "SCM_DO_BUILD_DURING_DEPLOYMENT",
    "ENABLE_ORYX_BUILD",
    "AzureWebJobsStorage",
    "AzureWebJobsDashboard",
}


def names(expression: object) -> set[str]:
    """The keys of the objects in an expression that are names of settings."""
    return set(re.findall(r"\b(\w*[A-Z]\w*_\w+|AzureWebJobs\w+):", str(expression)))


def test_flex_consumption_on_linux_scaled_in_so_many_words() -> None:
    app, plan = (named("modules/app.bicep", "resource")[name] for name in ("app", "plan"))
    assert plan.get("sku") == {"tier": "FlexConsumption", "name": "FC1"}
    assert plan.get("properties.reserved") is True
    config = app.get("properties.functionAppConfig")
    assert config["runtime"] == {"name": "python", "version": "pythonVersion"}
    scale = config["scaleAndConcurrency"]
    assert scale["instanceMemoryMB"] == "instanceMemoryMB"
    assert scale["maximumInstanceCount"] == "maximumInstanceCount"
    assert scale["triggers"]["http"]["perInstanceConcurrency"] == "httpConcurrency"
    assert scale["alwaysReady"].endswith("alwaysReadyCount}]:[]")
    deployed = config["deployment"]["storage"]
    assert deployed["authentication"]["type"] == "UserAssignedIdentity"


@pytest.mark.parametrize("template", ["main.bicep", "group.bicep"])
def test_by_default_only_calls_are_paid(template: str) -> None:
    defaults = {name: found.value for name, found in named(template, "param").items()}
    assert defaults["alwaysReadyCount"] == 0
    assert defaults["pythonVersion"] == "3.12"
    assert defaults["instanceMemoryMB"] == 2048
    assert defaults["privateNetwork"] is False
    assert named("aca/main.bicep", "param")["minReplicas"].value == 0


def test_the_settings_are_in_one_place() -> None:
    settings = named("modules/app.bicep", "resource")["appSettings"].get("properties")
    assert names(settings) == PLATFORM | {"INFERENCE_API_KEYS"}
    assert "inferenceSettings(" in settings
    shared = names(named("types.bicep", "func")["inferenceSettings"].value)
    assert shared == {
        "INFERENCE_MODELS",
        "INFERENCE_MEMORY_MB",
        "INFERENCE_ENTRA_TENANT",
        "INFERENCE_ENTRA_AUTHORITY",
        "INFERENCE_ENTRA_AUDIENCES",
        "INFERENCE_ENTRA_ROLES",
        "INFERENCE_CONTENT_SAFETY_ENDPOINT",
        "INFERENCE_CORS_ORIGINS",
        "INFERENCE_RESPONSES",
        "INFERENCE_RESPONSES_DAYS",
    }


def test_the_container_has_the_same_settings_and_its_own() -> None:
    app = names(named("modules/app.bicep", "resource")["appSettings"].get("properties"))
    container = names(named("aca/app.bicep", "var")["environmentVariables"].value)
    assert container - app == {"FUNCTIONS_WORKER_RUNTIME", "INFERENCE_PROVIDERS"}
    assert app - container == {"INFERENCE_API_KEYS"}, "there it is a secret of its own"


def test_every_setting_that_infra_names_is_one_of_the_app() -> None:
    files = [path for path in INFRA.rglob("*") if path.is_file() and path.suffix != ".lock"]
    mentioned = {name for path in files for name in re.findall(r"INFERENCE_[A-Z_]+", path.read_text("utf-8"))}
    assert mentioned <= set(VARIABLES)
    assert "INFERENCE_API_KEYS" in mentioned


def test_what_the_templates_set_can_be_read() -> None:
    memory = {str(size * 3 // 4) for size in (512, 2048, 4096)}
    for size in memory:
        Settings.from_environment({"INFERENCE_MODELS": "models", "INFERENCE_MEMORY_MB": size})
    for place in ("group.bicep", "aca/main.bicep"):
        models = named(place, "module")["app"].get("params.models")
        with_storage = re.findall(r"'([^']+)'", models)[0]
        account = "https://st.blob.core.windows.net"
        where = with_storage.replace("${storage.outputs.modelsUrl}", f"{account}/models")
        assert Settings.from_environment({"INFERENCE_MODELS": where}).models == (
            PROJECT / "models",
            Container(account, "models"),
        )
    gpu = named("aca/main.bicep", "module")["app"].get("params.providers")
    chosen = re.findall(r"'([^']+)'", gpu)
    assert (
        Settings.from_environment({"INFERENCE_PROVIDERS": chosen[0]}).providers[0] == "CUDAExecutionProvider"
    )
    assert Settings.from_environment({"INFERENCE_PROVIDERS": chosen[1]}) == Settings()
    entra = Settings.from_environment({"INFERENCE_ENTRA_AUTHORITY": "https://login.microsoftonline.com/"})
    assert entra == Settings()


def test_responses_are_kept_in_a_container_for_days_or_not_at_all() -> None:
    shared = "".join(str(named("types.bicep", "func")["inferenceSettings"].value).split())
    assert "empty(responses)?{INFERENCE_RESPONSES:'off'}:{INFERENCE_RESPONSES:responses" in shared
    storage = named("modules/storage.bicep", "resource")
    text = (INFRA / "modules" / "storage.bicep").read_text(encoding="utf-8")
    for name in ("responses", "expiry", "keep"):
        assert re.search(rf"^resource {name} '\S+' = if \(responseDays > 0\) {{$", text, re.MULTILINE), name
    (rule,) = storage["expiry"].get("properties.policy.rules")
    assert rule["definition"]["filters"] == {"blobTypes": ["blockBlob"], "prefixMatch": ["responses/"]}
    assert rule["definition"]["actions"] == {
        "baseBlob": {"delete": {"daysAfterCreationGreaterThan": "responseDays"}}
    }
    policy = "".join(str(storage["blobs"].get("properties.deleteRetentionPolicy")).split())
    assert policy == "responseDays>0?{enabled:false}:{enabled:true,days:7}"
    for template in ("group.bicep", "aca/main.bicep"):
        app = named(template, "module")["app"]
        assert app.get("params.responses") == "storage.outputs.responsesUrl"
        assert app.get("params.responseDays") == "responseDays"
        assert named(template, "module")["storage"].get("params.responseDays") == "responseDays"
    url = "https://st.blob.core.windows.net/responses"
    kept = Settings.from_environment({"INFERENCE_RESPONSES": url, "INFERENCE_RESPONSES_DAYS": "36500"})
    assert kept.response_place == Container("https://st.blob.core.windows.net", "responses")


def test_nothing_is_set_that_the_plan_forbids() -> None:
    text = (INFRA / "modules" / "app.bicep").read_text(encoding="utf-8")
    assert not names(text) & FLEX_FORBIDS
    for path in templates():
        assert "linuxFxVersion" not in path.read_text(encoding="utf-8")


def test_the_sample_for_core_tools_has_what_the_cloud_has() -> None:
    sample = json.loads((PROJECT / "local.settings.sample.json").read_text(encoding="utf-8"))["Values"]
    assert set(VARIABLES) <= set(sample)
    assert sample["PYTHON_ENABLE_INIT_INDEXING"] == "1"
    assert all(isinstance(value, str) for value in sample.values())


def test_the_platform_and_the_app_allow_the_same_origins() -> None:
    site = named("modules/app.bicep", "resource")["app"]
    container = named("aca/app.bicep", "resource")["app"]
    assert site.get("properties.siteConfig.cors.allowedOrigins") == "origins(corsOrigins)"
    assert site.get("properties.siteConfig.cors.supportCredentials") is False
    policy = str(container.get("properties.configuration.ingress.corsPolicy")).replace(" ", "")
    assert "empty(corsOrigins)?null:" in policy
    assert "allowedOrigins:origins(corsOrigins)" in policy
    shared = named("types.bicep", "func")["inferenceSettings"].value
    assert "{INFERENCE_CORS_ORIGINS:cors}" in str(shared).replace(" ", "")
    for template in ("group.bicep", "aca/main.bicep"):
        assert named(template, "module")["app"].get("params.corsOrigins") == "corsOrigins"
        assert named(template, "param")["corsOrigins"].value == ""
