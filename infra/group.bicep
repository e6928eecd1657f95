// Everything the app needs, in one resource group. Usable alone by people without rights on the subscription:
//   az deployment group create -g GROUP -f infra/group.bicep -p infra/group.bicepparam

import { Names, Deployer, Authentication, safetyRegions } from 'types.bicep'

@minLength(2)
@maxLength(20)
@description('Name of this deployment: part of the names of its resources.')
param environmentName string
@description('Region: one that offers Flex Consumption.')
param location string = resourceGroup().location
@description('Tags of every resource.')
param tags object = {}
@description('Names of resources, where generated ones will not do: app, plan, storage, identity, insights, logs, safety, vault, network.')
param names Names = {}

@allowed([512, 2048, 4096])
@description('Memory of an instance, in MB; processors come in proportion (0.25, 1 and 2).')
param instanceMemoryMB int = 2048
@minValue(1)
@maxValue(1000)
@description('The most instances, and so the ceiling of the bill. Some regions take no less than 40.')
param maximumInstanceCount int = 40
@minValue(1)
@maxValue(1000)
@description('Requests that one instance takes at once. The platform\'s default for Python is 1: every further request would start an instance.')
param httpConcurrency int = 4
@minValue(0)
@maxValue(1000)
@description('Instances that are kept ready. 0: pay per call only, with a cold start after a pause; 1 or more are paid while idle.')
param alwaysReadyCount int = 0
@allowed(['3.11', '3.12', '3.13'])
@description('Python of the instances.')
param pythonVersion string = '3.12'

@description('How callers prove who they are: keys, entra (tokens, verified by the app), keysAndEntra, or easyAuth (tokens, verified by the platform and again by the app).')
param authentication Authentication = 'keys'
@secure()
@description('API keys, separated by commas. Empty with keyVault: one is made up at the first deployment and kept.')
param apiKeys string = ''
@description('Keep the API keys in a key vault, and only a reference to them in the app\'s settings. Without it apiKeys must be given.')
param keyVault bool = true
@description('Keep a deleted vault from being purged for 7 days. Cannot be taken back.')
param purgeProtection bool = false
@description('Tenant whose tokens are accepted. Empty: that of the subscription.')
param entraTenantId string = ''
@description('Audiences, separated by commas, one of which a token must be for. Empty: those of the official clients, with easyAuth those of entraClientId.')
param entraAudiences string = ''
@description('App roles, separated by commas, one of which a token must carry. Empty: every token of the tenant for an audience.')
param entraRoles string = ''
@description('Client id of the app registration that easyAuth uses.')
param entraClientId string = ''

@allowed(['new', 'existing', 'none'])
@description('Content Safety: a new account, an existing one (contentSafetyEndpoint), or none.')
param contentSafety string = 'new'
@allowed(['F0', 'S0'])
@description('F0 is free, small, and one a subscription; S0 is paid by the record, nothing while idle.')
param contentSafetySku string = 'S0'
@description('Region of a new Content Safety account. Empty: location.')
param contentSafetyLocation string = ''
@description('Endpoint of an existing Content Safety account: https://NAME.cognitiveservices.azure.com. Its owner gives the app\'s identity the role Cognitive Services User.')
param contentSafetyEndpoint string = ''

@description('A virtual network for the instances, with private endpoints for storage and Content Safety, which then refuse the internet.')
param privateNetwork bool = false
@description('Whether the internet may reach the app. Without it callers come through the private network.')
param publicEndpoint bool = true
@description('Origins of web pages, separated by commas, whose scripts may read answers (https://app.example.com); *: every page. Empty: none.')
param corsOrigins string = ''
@description('IPv4 range of the virtual network: /16 to /24.')
param addressPrefix string = '10.42.0.0/24'
@description('IPv4 addresses and ranges, separated by commas, from which a restricted storage account takes uploads of models.')
param allowedAddresses string = ''

@minValue(0)
@description('Budget a month in the subscription\'s currency; 0: none. It warns by mail and stops nothing.')
param monthlyBudget int = 0
@description('Mail addresses, separated by commas, that the budget warns.')
param budgetEmails string = ''
@description('First day of the budget\'s first month, YYYY-MM-01. Empty: this month. Later deployments repeat the first value (output BUDGET_START).')
param budgetStart string = ''
@description('This month; not for setting.')
param thisMonth string = utcNow('yyyy-MM-01')

@minValue(30)
@maxValue(730)
@description('How long logs are kept, in days.')
param logRetentionDays int = 30
@minValue(1)
@description('The most logs that are taken in a day, in GB.')
param logDailyCapGB int = 1
@minValue(0)
@maxValue(36500)
@description('Days for which responses of the Responses API are kept with their prompts, in the storage account\'s container for responses. 0: nothing is kept, and blobs deleted from the account can be restored for 7 days.')
param responseDays int = 30
@description('Also serve the deployments that lie in the storage account\'s container for models; each instance fetches them to its disk.')
param modelsFromStorage bool = false
@description('More settings of the app, such as { INFERENCE_SLOTS: \'4\' }; docs/settings.md lists them.')
param settings object = {}
@description('Object id of the person or pipeline that uploads models and reads the keys. Empty: these roles are assigned to no one.')
param deployerId string = ''
@allowed(['User', 'Group', 'ServicePrincipal'])
@description('What deployerId belongs to.')
param deployerType string = 'User'

var hash = uniqueString(subscription().id, resourceGroup().id, environmentName, location)
var plainName = replace(toLower(environmentName), '-', '')
var allTags = union({ 'azd-env-name': environmentName }, tags)
var deployer Deployer = { id: deployerId, type: deployerType }
var withKeys = startsWith(authentication, 'keys')
var withVault = withKeys && keyVault
var safetyRegion = empty(contentSafetyLocation) ? location : contentSafetyLocation
var firstMonth = empty(budgetStart) ? thisMonth : budgetStart
var networkName = names.?network ?? 'vnet-${environmentName}'
var appName = names.?app ?? 'func-${take(environmentName, 20)}-${take(hash, 6)}'

module identity 'modules/identity.bicep' = {
  name: 'identity'
  params: {
    name: names.?identity ?? 'id-${environmentName}'
    location: location
    tags: allTags
  }
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'monitoring'
  params: {
    logsName: names.?logs ?? 'log-${environmentName}'
    insightsName: names.?insights ?? 'appi-${environmentName}'
    location: location
    tags: allTags
    principalId: identity.outputs.principalId
    retentionDays: logRetentionDays
    dailyCapGB: logDailyCapGB
  }
}

module storage 'modules/storage.bicep' = {
  name: 'storage'
  params: {
    name: names.?storage ?? take('st${plainName}${hash}', 24)
    location: location
    tags: allTags
    principalId: identity.outputs.principalId
    deployer: deployer
    restricted: privateNetwork
    allowedAddresses: empty(allowedAddresses) ? [] : split(allowedAddresses, ',')
    responseDays: responseDays
  }
}

module safety 'modules/safety.bicep' = if (contentSafety == 'new') {
  name: 'safety'
  params: {
    name: names.?safety ?? 'cs-${toLower(environmentName)}-${take(hash, 6)}'
    location: contentSafety != 'new' || contains(safetyRegions, safetyRegion)
      ? safetyRegion
      : fail('Content Safety is not offered in ${safetyRegion}: set contentSafetyLocation, or contentSafety to existing or none.')
    tags: allTags
    sku: contentSafetySku
    principalId: identity.outputs.principalId
    restricted: privateNetwork
  }
}

module vault 'modules/vault.bicep' = if (withVault) {
  name: 'vault'
  params: {
    name: names.?vault ?? take('kv-${environmentName}-${hash}', 24)
    location: location
    tags: allTags
    principalId: identity.outputs.principalId
    deployer: deployer
    purgeProtection: purgeProtection
    apiKeys: apiKeys
  }
}

module network 'modules/network.bicep' = if (privateNetwork) {
  name: 'network'
  params: {
    name: networkName
    location: location
    tags: allTags
    addressPrefix: addressPrefix
  }
}

// Conditions are repeated here because Azure looks at what a skipped module refers to.
var networkId = privateNetwork ? network!.outputs.id : ''
var endpointSubnetId = privateNetwork ? network!.outputs.endpointSubnetId : ''

module storageEndpoint 'modules/endpoint.bicep' = if (privateNetwork) {
  name: 'storage-endpoint'
  params: {
    name: 'pe-storage-${environmentName}'
    location: location
    tags: allTags
    targetId: storage.outputs.id
    service: 'blob'
    zone: 'privatelink.blob.${environment().suffixes.storage}'
    networkId: networkId
    subnetId: endpointSubnetId
  }
}

module safetyEndpoint 'modules/endpoint.bicep' = if (privateNetwork && contentSafety == 'new') {
  name: 'safety-endpoint'
  params: {
    name: 'pe-safety-${environmentName}'
    location: location
    tags: allTags
    targetId: contentSafety == 'new' ? safety!.outputs.id : ''
    service: 'account'
    zone: 'privatelink.cognitiveservices.azure.com'
    networkId: networkId
    subnetId: endpointSubnetId
  }
}

var contentSafetyUrl = contentSafety == 'new'
  ? safety!.outputs.endpoint
  : contentSafety == 'existing' && empty(contentSafetyEndpoint)
      ? fail('contentSafety existing needs contentSafetyEndpoint.')
      : contentSafety == 'none' ? '' : contentSafetyEndpoint

module app 'modules/app.bicep' = {
  name: 'app'
  params: {
    name: appName
    planName: names.?plan ?? 'plan-${environmentName}'
    location: location
    tags: allTags
    pythonVersion: pythonVersion
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    httpConcurrency: httpConcurrency
    alwaysReadyCount: alwaysReadyCount
    identityId: identity.outputs.id
    identityClientId: identity.outputs.clientId
    storageName: storage.outputs.name
    packagesUrl: storage.outputs.packagesUrl
    insightsName: monitoring.outputs.insightsName
    authentication: authentication
    entra: {
      tenant: empty(entraTenantId) ? tenant().tenantId : entraTenantId
      audiences: authentication == 'easyAuth' && empty(entraAudiences) ? '${entraClientId},api://${entraClientId}' : entraAudiences
      roles: entraRoles
      clientId: authentication == 'easyAuth' && empty(entraClientId)
        ? fail('authentication easyAuth needs entraClientId, the client id of an app registration.')
        : entraClientId
    }
    apiKeys: withVault
      ? '@Microsoft.KeyVault(SecretUri=${vault!.outputs.keysUri})'
      : !withKeys ? '' : empty(apiKeys) ? fail('Without keyVault, apiKeys must be given.') : apiKeys
    contentSafetyEndpoint: contentSafetyUrl
    corsOrigins: corsOrigins
    models: modelsFromStorage ? 'models,${storage.outputs.modelsUrl}' : 'models'
    responses: storage.outputs.responsesUrl
    responseDays: responseDays
    settings: settings
    subnetId: privateNetwork ? network!.outputs.appSubnetId : ''
    publicEndpoint: publicEndpoint || privateNetwork
      ? publicEndpoint
      : fail('publicEndpoint false needs privateNetwork true: no caller could reach the app.')
  }
  // The host reads its storage as soon as it starts, from inside the network where there is one.
  dependsOn: [storageEndpoint]
}

module appEndpoint 'modules/endpoint.bicep' = if (!publicEndpoint) {
  name: 'app-endpoint'
  params: {
    name: 'pe-app-${environmentName}'
    location: location
    tags: allTags
    targetId: app.outputs.id
    service: 'sites'
    zone: 'privatelink.azurewebsites.net'
    networkId: networkId
    subnetId: endpointSubnetId
  }
}

module budget 'modules/budget.bicep' = if (monthlyBudget > 0) {
  name: 'budget'
  params: {
    amount: monthlyBudget
    emails: monthlyBudget > 0 && empty(budgetEmails) ? fail('monthlyBudget needs budgetEmails.') : split(budgetEmails, ',')
    start: firstMonth
  }
}

@description('Name of the function app: what `func azure functionapp publish` takes.')
output APP_NAME string = app.outputs.name
@description('Where the app answers: what clients call their endpoint.')
output ENDPOINT string = app.outputs.url
@description('Key vault that holds the API keys, in the secret api-keys; empty: none.')
output KEY_VAULT_NAME string = withVault ? vault!.outputs.name : ''
@description('Container for models.')
output MODELS_URL string = storage.outputs.modelsUrl
@description('Endpoint of Content Safety; empty: none.')
output CONTENT_SAFETY_ENDPOINT string = contentSafetyUrl
@description('Object id of the app\'s identity, for roles on other resources.')
output IDENTITY_PRINCIPAL_ID string = identity.outputs.principalId
@description('What later deployments give as budgetStart.')
output BUDGET_START string = firstMonth
