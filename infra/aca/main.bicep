// The same app as a container on Azure Container Apps: more memory, more processors, or a GPU.
//   az deployment group create -g GROUP -f infra/aca/main.bicep -p infra/aca/main.bicepparam
// The first deployment, without an image, makes the registry; the second, with one, the app.

import { Names, Deployer } from '../types.bicep'

@minLength(2)
@maxLength(20)
@description('Name of this deployment: part of the names of its resources.')
param environmentName string
@description('Region: one that offers the workload profile.')
param location string = resourceGroup().location
@description('Tags of every resource.')
param tags object = {}
@description('Names of resources, where generated ones will not do: app, plan (the environment), registry, storage, identity, insights, logs, vault.')
param names Names = {}

@description('Image, with its registry and tag. Empty: everything but the app is made.')
param image string = ''
@allowed([
  'Consumption'
  'D4'
  'D8'
  'D16'
  'D32'
  'E4'
  'E8'
  'E16'
  'E32'
  'Consumption-GPU-NC8as-T4'
  'Consumption-GPU-NC24-A100'
])
@description('What replicas run on. Consumption and Consumption-GPU are paid while replicas run; D and E are machines, paid while they are kept.')
param workloadProfile string = 'Consumption'
@description('Processors of a replica: 0.25 to 4 on Consumption, up to those of the machine on other profiles.')
param cores string = '2'
@minValue(1)
@maxValue(256)
@description('Memory of a replica, in GiB: twice the processors on Consumption, up to that of the machine on other profiles.')
param memoryGiB int = 4
@minValue(0)
@description('Replicas that are kept. 0: pay per use only, with a cold start after a pause.')
param minReplicas int = 0
@minValue(1)
@maxValue(1000)
@description('The most replicas, and so the ceiling of the bill.')
param maxReplicas int = 10
@minValue(0)
@description('Machines of a D or E profile that are kept.')
param minimumMachines int = 0
@minValue(1)
@description('The most machines of a D or E profile.')
param maximumMachines int = 3
@description('Subnet for the environment, /27 or larger and delegated to Microsoft.App/environments. Empty: a network of the platform.')
param subnetId string = ''

@allowed(['keys', 'entra', 'keysAndEntra'])
@description('How callers prove who they are: keys, entra (tokens, verified by the app), or keysAndEntra.')
param authentication string = 'keys'
@secure()
@description('API keys, separated by commas. Empty: one is made up at the first deployment and kept in the key vault.')
param apiKeys string = ''
@description('Keep a deleted vault from being purged for 7 days. Cannot be taken back.')
param purgeProtection bool = false
@description('Tenant whose tokens are accepted. Empty: that of the subscription.')
param entraTenantId string = ''
@description('Audiences, separated by commas, one of which a token must be for. Empty: those of the official clients.')
param entraAudiences string = ''
@description('App roles, separated by commas, one of which a token must carry. Empty: every token of the tenant for an audience.')
param entraRoles string = ''

@description('Endpoint of a Content Safety account: https://NAME.cognitiveservices.azure.com. Empty: nothing is filtered. Its owner gives the app\'s identity the role Cognitive Services User.')
param contentSafetyEndpoint string = ''

@description('Origins of web pages, separated by commas, whose scripts may read answers (https://app.example.com); *: every page. Empty: none.')
param corsOrigins string = ''

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
@description('More settings of the app, such as { INFERENCE_SLOTS: \'16\' }; docs/settings.md lists them.')
param settings object = {}
@description('Object id of the person or pipeline that uploads models and reads the keys. Empty: these roles are assigned to no one.')
param deployerId string = ''
@allowed(['User', 'Group', 'ServicePrincipal'])
@description('What deployerId belongs to.')
param deployerType string = 'User'

var hash = uniqueString(subscription().id, resourceGroup().id, environmentName, location)
var plainName = replace(toLower(environmentName), '-', '')
var deployer Deployer = { id: deployerId, type: deployerType }
var withKeys = startsWith(authentication, 'keys')
var gpu = contains(workloadProfile, 'GPU')

module identity '../modules/identity.bicep' = {
  name: 'identity'
  params: {
    name: names.?identity ?? 'id-${environmentName}'
    location: location
    tags: tags
  }
}

module monitoring '../modules/monitoring.bicep' = {
  name: 'monitoring'
  params: {
    logsName: names.?logs ?? 'log-${environmentName}'
    insightsName: names.?insights ?? 'appi-${environmentName}'
    location: location
    tags: tags
    principalId: identity.outputs.principalId
    retentionDays: logRetentionDays
    dailyCapGB: logDailyCapGB
  }
}

module storage '../modules/storage.bicep' = {
  name: 'storage'
  params: {
    name: names.?storage ?? take('st${plainName}${hash}', 24)
    location: location
    tags: tags
    principalId: identity.outputs.principalId
    deployer: deployer
    restricted: false
    allowedAddresses: []
    responseDays: responseDays
  }
}

module vault '../modules/vault.bicep' = if (withKeys) {
  name: 'vault'
  params: {
    name: names.?vault ?? take('kv-${environmentName}-${hash}', 24)
    location: location
    tags: tags
    principalId: identity.outputs.principalId
    deployer: deployer
    purgeProtection: purgeProtection
    apiKeys: apiKeys
  }
}

module hosting 'environment.bicep' = {
  name: 'hosting'
  params: {
    name: names.?plan ?? 'cae-${environmentName}'
    registryName: names.?registry ?? take('cr${plainName}${hash}', 50)
    location: location
    tags: tags
    workloadProfile: workloadProfile
    minimumMachines: minimumMachines
    maximumMachines: maximumMachines
    logsId: monitoring.outputs.logsId
    subnetId: subnetId
    principalId: identity.outputs.principalId
  }
}

module app 'app.bicep' = if (!empty(image)) {
  name: 'app'
  params: {
    name: names.?app ?? 'ca-${take(toLower(environmentName), 20)}'
    location: location
    tags: tags
    environmentId: hosting.outputs.id
    profile: hosting.outputs.profile
    image: image
    registryServer: hosting.outputs.registryServer
    cores: cores
    memoryGiB: memoryGiB
    minReplicas: minReplicas
    maxReplicas: maxReplicas
    providers: gpu ? 'CUDAExecutionProvider,CPUExecutionProvider' : 'CPUExecutionProvider'
    identityId: identity.outputs.id
    identityClientId: identity.outputs.clientId
    storageName: storage.outputs.name
    insightsName: monitoring.outputs.insightsName
    authentication: authentication
    entra: {
      tenant: empty(entraTenantId) ? tenant().tenantId : entraTenantId
      audiences: entraAudiences
      roles: entraRoles
      clientId: ''
    }
    keysUri: withKeys ? vault!.outputs.keysUri : ''
    contentSafetyEndpoint: contentSafetyEndpoint
    corsOrigins: corsOrigins
    models: modelsFromStorage ? 'models,${storage.outputs.modelsUrl}' : 'models'
    responses: storage.outputs.responsesUrl
    responseDays: responseDays
    settings: settings
  }
}

@description('Name of the container app; empty before there is an image.')
output APP_NAME string = empty(image) ? '' : app!.outputs.name
@description('Where the app answers.')
output ENDPOINT string = empty(image) ? '' : app!.outputs.url
@description('Name of the registry: what `az acr build --registry` takes.')
output REGISTRY_NAME string = hosting.outputs.registryName
@description('Host name of the registry: the first part of the image.')
output REGISTRY_SERVER string = hosting.outputs.registryServer
@description('Key vault that holds the API keys, in the secret api-keys; empty: none.')
output KEY_VAULT_NAME string = withKeys ? vault!.outputs.name : ''
@description('Container for models.')
output MODELS_URL string = storage.outputs.modelsUrl
@description('Object id of the app\'s identity, for roles on other resources.')
output IDENTITY_PRINCIPAL_ID string = identity.outputs.principalId
