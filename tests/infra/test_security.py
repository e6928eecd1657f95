"""The facts of security, read from the templates."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import pytest

from tests.infra.bicep import INFRA, Declaration, everything, named, read, templates
from tests.infra.reader import Expr

RESOURCES = [found for found in everything() if found.keyword == "resource" and not found.existing]

FACTS: Mapping[str, Mapping[str, object]] = {
    "Microsoft.Storage/storageAccounts": {
        "properties.allowSharedKeyAccess": False,
        "properties.allowBlobPublicAccess": False,
        "properties.allowCrossTenantReplication": False,
        "properties.defaultToOAuthAuthentication": True,
        "properties.minimumTlsVersion": "TLS1_2",
        "properties.supportsHttpsTrafficOnly": True,
    },
    "Microsoft.Storage/storageAccounts/blobServices/containers": {"properties.publicAccess": "None"},
    "Microsoft.CognitiveServices/accounts": {"properties.disableLocalAuth": True, "kind": "ContentSafety"},
    "Microsoft.Insights/components": {"properties.DisableLocalAuth": True},
    "Microsoft.OperationalInsights/workspaces": {"properties.features.disableLocalAuth": True},
    "Microsoft.KeyVault/vaults": {
        "properties.enableRbacAuthorization": True,
        "properties.enableSoftDelete": True,
        "properties.accessPolicies": None,
    },
    "Microsoft.Web/sites": {
        "properties.httpsOnly": True,
        "properties.siteConfig.minTlsVersion": "1.2",
        "properties.siteConfig.scmMinTlsVersion": "1.2",
        "properties.siteConfig.linuxFxVersion": None,
        "identity.type": "UserAssigned",
    },
    "Microsoft.Web/sites/basicPublishingCredentialsPolicies": {"properties.allow": False},
    "Microsoft.App/containerApps": {
        "properties.configuration.ingress.allowInsecure": False,
        "identity.type": "UserAssigned",
    },
    "Microsoft.App/managedEnvironments": {"properties.appLogsConfiguration.destination": "azure-monitor"},
    "Microsoft.ContainerRegistry/registries": {"properties.adminUserEnabled": False},
}
"""Per resource type what every resource of it says; None: nothing at all."""

ROLES = {
    ("monitoring", "insights", "principalId", "metricsPublisher"),
    ("storage", "storage", "principalId", "blobOwner"),
    ("storage", "models", "deployer.id", "blobContributor"),
    ("storage", "responses", "principalId", "blobContributor"),
    ("safety", "safety", "principalId", "cognitiveUser"),
    ("vault", "vault", "principalId", "secretsUser"),
    ("vault", "vault", "deployer.id", "secretsOfficer"),
    ("environment", "registry", "principalId", "acrPull"),
}
"""Template, scope, who, role: all there are."""


def resources(kind: str) -> Iterator[Declaration]:
    return (found for found in RESOURCES if found.type == kind)


@pytest.mark.parametrize("kind", FACTS)
def test_every_resource_of_a_kind_says_so(kind: str) -> None:
    found = list(resources(kind))
    assert found
    for resource in found:
        said = {path: resource.get(path) for path in FACTS[kind]}
        assert said == FACTS[kind], f"{resource.file}: {resource.name}"


def test_content_safety_has_the_sub_domain_that_tokens_need() -> None:
    for resource in resources("Microsoft.CognitiveServices/accounts"):
        assert resource.get("properties.customSubDomainName") == resource.get("name") == "name"


def test_a_restricted_account_refuses_the_internet() -> None:
    storage = next(resources("Microsoft.Storage/storageAccounts"))
    assert storage.get("properties.networkAcls.defaultAction") == "restricted?'Deny':'Allow'"
    public = storage.get("properties.publicNetworkAccess")
    assert public == "restricted&&empty(allowedAddresses)?'Disabled':'Enabled'"
    safety = next(resources("Microsoft.CognitiveServices/accounts"))
    assert safety.get("properties.publicNetworkAccess") == "restricted?'Disabled':'Enabled'"


def test_exactly_the_needed_roles_are_given() -> None:
    given = set()
    for resource in resources("Microsoft.Authorization/roleAssignments"):
        role = re.fullmatch(
            r"subscriptionResourceId\(.*,roles\.(\w+)\)", resource.get("properties.roleDefinitionId")
        )
        assert role is not None, resource.file
        template = resource.file.rsplit("/", 1)[-1].removesuffix(".bicep")
        given.add((template, resource.get("scope"), resource.get("properties.principalId"), role[1]))
        whose = resource.get("properties.principalId")
        kind = resource.get("properties.principalType")
        assert kind == ("ServicePrincipal" if whose == "principalId" else "deployer.type")
        assert role[1] in resource.get("name"), "the name must change with the role"
    assert given == ROLES
    assert set(named("types.bicep", "var")["roles"].value) == {role for *_, role in ROLES}


def test_roles_and_the_network_are_there_before_the_app() -> None:
    """A module's outputs exist when everything in it does."""
    app = named("group.bicep", "module")["app"]
    for module in ("identity", "storage", "monitoring"):
        assert f"{module}.outputs" in str(app.value)
    assert "vault!.outputs" in app.get("params.apiKeys")
    assert "safety!.outputs" in named("group.bicep", "var")["contentSafetyUrl"].value
    assert app.get("params.contentSafetyEndpoint") == "contentSafetyUrl"
    assert app.get("dependsOn") == ["storageEndpoint"]


def test_no_key_of_any_resource_is_read() -> None:
    for path in templates():
        assert not re.search(
            r"\blist(Keys|AccountSas|ServiceSas|Secrets|Credentials)?\(", path.read_text()
        ), path


def test_outputs_hold_no_secret() -> None:
    for path in templates():
        declarations = read(path)
        secure = {found.name for found in declarations if found.marked("secure")}
        for output in (found for found in declarations if found.keyword == "output"):
            words = set(re.findall(r"\w+", str(output.value)))
            assert not words & (secure | {"ConnectionString", "InstrumentationKey", "value"}), output.name


def test_whatever_carries_keys_is_secure_from_end_to_end() -> None:
    carriers = ("apiKeys", "madeUpKey", "value")
    for declaration in everything():
        if declaration.keyword == "param" and declaration.name in carriers:
            assert declaration.marked("secure"), f"{declaration.file}: {declaration.name}"
            assert declaration.value in (None, "", "newGuid()")
    assert not [found for found in everything() if found.marked("secure") and found.name not in carriers]


def test_a_key_is_made_up_once() -> None:
    made_up = named("modules/vault.bicep", "resource")["madeUp"]
    assert made_up.marked("onlyIfNotExists")
    assert made_up.get("properties.value") == "madeUpKey"


def test_the_app_gets_a_reference_and_not_the_key() -> None:
    keys = named("group.bicep", "module")["app"].get("params.apiKeys")
    assert keys.replace(" ", "").startswith(
        "withVault?'@Microsoft.KeyVault(SecretUri=${vault!.outputs.keysUri})'"
    )
    secrets = str(named("aca/app.bicep", "resource")["app"].get("properties.configuration.secrets"))
    assert secrets == "empty(keysUri)?[]:[{name:'api-keys',keyVaultUrl:keysUri,identity:identityId}]"
    assert named("group.bicep", "param")["keyVault"].value is True


def test_the_platform_asks_for_a_token_where_it_stands_in_front() -> None:
    auth = named("modules/app.bicep", "resource")["easyAuth"]
    assert auth.get("properties.globalValidation.requireAuthentication") is True
    assert auth.get("properties.globalValidation.unauthenticatedClientAction") == "Return401"
    assert auth.get("properties.globalValidation.excludedPaths") == ["/health"]
    assert (
        auth.get("properties.identityProviders.azureActiveDirectory.registration.clientSecretSettingName")
        is None
    )


def test_no_foreign_modules() -> None:
    for module in (found for found in everything() if found.keyword == "module"):
        assert ((INFRA / module.file).parent / module.of).is_file(), module.of


def test_nothing_is_open_to_all_by_a_literal() -> None:
    for path in templates():
        assert "INFERENCE_ANONYMOUS" not in path.read_text()


def test_conditions_that_stop_a_wrong_deployment_stand() -> None:
    text = (INFRA / "group.bicep").read_text(encoding="utf-8")
    for sentence in (
        "Content Safety is not offered in",
        "authentication easyAuth needs entraClientId",
        "Without keyVault, apiKeys must be given",
        "publicEndpoint false needs privateNetwork true",
        "monthlyBudget needs budgetEmails",
        "contentSafety existing needs contentSafetyEndpoint",
    ):
        assert f"fail('{sentence}" in text
    assert isinstance(named("group.bicep", "module")["safety"].get("params.location"), Expr)
