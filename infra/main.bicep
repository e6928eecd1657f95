// Makes a resource group and everything the app needs in it. The entry of `azd up` and of
//   az deployment sub create -l REGION -f infra/main.bicep -p infra/main.bicepparam

targetScope = 'subscription'

import { Names, Authentication } from 'types.bicep'

@minLength(2)
@maxLength(20)
@description('Name of this deployment: part of the names of its resources.')
param environmentName string
@description('Region: one that offers Flex Consumption.')
@metadata({ azd: { type: 'location' } })
@allowed([
  'australiaeast'
  'australiasoutheast'
  'brazilsouth'
  'canadacentral'
  'centralindia'
  'centralus'
  'eastasia'
  'eastus'
  'eastus2'
  'francecentral'
  'germanywestcentral'
  'italynorth'
  'japaneast'
  'koreacentral'
  'northcentralus'
  'northeurope'
  'norwayeast'
  'southafricanorth'
  'southcentralus'
  'southeastasia'
  'southindia'
  'spaincentral'
  'swedencentral'
  'uaenorth'
  'uksouth'
  'ukwest'
  'westcentralus'
  'westeurope'
  'westus'
  'westus2'
  'westus3'
])
param location string
@description('Resource group, made by the deployment. Empty: rg- and the environment\'s name.')
param resourceGroupName string = ''
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

resource group 'Microsoft.Resources/resourceGroups@2024-11-01' = {
  name: empty(resourceGroupName) ? 'rg-${environmentName}' : resourceGroupName
  location: location
  tags: union({ 'azd-env-name': environmentName }, tags)
}

module resources 'group.bicep' = {
  name: 'model-inference'
  scope: group
  params: {
    environmentName: environmentName
    location: location
    tags: tags
    names: names
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    httpConcurrency: httpConcurrency
    alwaysReadyCount: alwaysReadyCount
    pythonVersion: pythonVersion
    authentication: authentication
    apiKeys: apiKeys
    keyVault: keyVault
    purgeProtection: purgeProtection
    entraTenantId: entraTenantId
    entraAudiences: entraAudiences
    entraRoles: entraRoles
    entraClientId: entraClientId
    contentSafety: contentSafety
    contentSafetySku: contentSafetySku
    contentSafetyLocation: contentSafetyLocation
    contentSafetyEndpoint: contentSafetyEndpoint
    privateNetwork: privateNetwork
    publicEndpoint: publicEndpoint
    corsOrigins: corsOrigins
    addressPrefix: addressPrefix
    allowedAddresses: allowedAddresses
    monthlyBudget: monthlyBudget
    budgetEmails: budgetEmails
    budgetStart: budgetStart
    thisMonth: thisMonth
    logRetentionDays: logRetentionDays
    logDailyCapGB: logDailyCapGB
    responseDays: responseDays
    modelsFromStorage: modelsFromStorage
    settings: settings
    deployerId: deployerId
    deployerType: deployerType
  }
}

@description('The resource group.')
output AZURE_RESOURCE_GROUP string = group.name
@description('Its region.')
output AZURE_LOCATION string = location
@description('Name of the function app: what `func azure functionapp publish` takes.')
output APP_NAME string = resources.outputs.APP_NAME
@description('Where the app answers: what clients call their endpoint.')
output ENDPOINT string = resources.outputs.ENDPOINT
@description('Key vault that holds the API keys, in the secret api-keys; empty: none.')
output KEY_VAULT_NAME string = resources.outputs.KEY_VAULT_NAME
@description('Container for models.')
output MODELS_URL string = resources.outputs.MODELS_URL
@description('Endpoint of Content Safety; empty: none.')
output CONTENT_SAFETY_ENDPOINT string = resources.outputs.CONTENT_SAFETY_ENDPOINT
@description('Object id of the app\'s identity, for roles on other resources.')
output IDENTITY_PRINCIPAL_ID string = resources.outputs.IDENTITY_PRINCIPAL_ID
@description('What later deployments give as budgetStart.')
output BUDGET_START string = resources.outputs.BUDGET_START
