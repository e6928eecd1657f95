// The Flex Consumption plan, the function app on it, and all of its settings.

import { Authentication, Entra, inferenceSettings, origins } from '../types.bicep'

@description('Name of the function app.')
param name string
@description('Name of the plan.')
param planName string
@description('Region.')
param location string
@description('Tags.')
param tags object
@description('Python of the instances.')
param pythonVersion string
@description('Memory of an instance, in MB.')
param instanceMemoryMB int
@description('The most instances.')
param maximumInstanceCount int
@description('Requests that one instance takes at once.')
param httpConcurrency int
@description('Instances that are kept ready.')
param alwaysReadyCount int
@description('Resource id of the identity.')
param identityId string
@description('Client id of the identity.')
param identityClientId string
@description('Name of the storage account.')
param storageName string
@description('URL of the container for packages.')
param packagesUrl string
@description('Name of Application Insights.')
param insightsName string
@description('How callers prove who they are.')
param authentication Authentication
@description('Whose tokens are accepted.')
param entra Entra
@secure()
@description('Value of INFERENCE_API_KEYS: a Key Vault reference or the keys; empty where callers bring tokens.')
param apiKeys string
@description('Endpoint of Content Safety; empty: none.')
param contentSafetyEndpoint string
@description('Origins of web pages, separated by commas; empty: none.')
param corsOrigins string
@description('Value of INFERENCE_MODELS: where deployments lie.')
param models string
@description('URL of the container for responses; empty: none are kept.')
param responses string
@description('Days for which responses are kept.')
param responseDays int
@description('More settings.')
param settings object
@description('Subnet of the app\'s instances; empty: none.')
param subnetId string
@description('Whether the internet may reach the app.')
param publicEndpoint bool

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insightsName
}

resource plan 'Microsoft.Web/serverfarms@2024-11-01' = {
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { tier: 'FlexConsumption', name: 'FC1' }
  properties: { reserved: true }
}

resource app 'Microsoft.Web/sites@2024-11-01' = {
  name: name
  location: location
  tags: union(tags, { 'azd-service-name': 'api' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    publicNetworkAccess: publicEndpoint ? 'Enabled' : 'Disabled'
    keyVaultReferenceIdentity: identityId
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      cors: { allowedOrigins: origins(corsOrigins), supportCredentials: false }
    }
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: packagesUrl
          authentication: { type: 'UserAssignedIdentity', userAssignedIdentityResourceId: identityId }
        }
      }
      runtime: { name: 'python', version: pythonVersion }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstanceCount
        alwaysReady: alwaysReadyCount > 0 ? [{ name: 'http', instanceCount: alwaysReadyCount }] : []
        triggers: { http: { perInstanceConcurrency: httpConcurrency } }
      }
    }
  }
}

// Deployments authenticate with tokens; passwords of the publishing profile are refused.
resource publishing 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-11-01' = {
  parent: app
  name: 'scm'
  properties: { allow: false }
}

resource appSettings 'Microsoft.Web/sites/config@2024-11-01' = {
  parent: app
  name: 'appsettings'
  properties: union(
    {
      AzureWebJobsStorage__accountName: storageName
      AzureWebJobsStorage__credential: 'managedidentity'
      AzureWebJobsStorage__clientId: identityClientId
      APPLICATIONINSIGHTS_CONNECTION_STRING: insights.properties.ConnectionString
      APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
      AZURE_CLIENT_ID: identityClientId
      PYTHON_ENABLE_INIT_INDEXING: '1'
    },
    inferenceSettings(
      models,
      instanceMemoryMB,
      authentication,
      entra,
      environment().authentication.loginEndpoint,
      contentSafetyEndpoint,
      corsOrigins,
      responses,
      responseDays
    ),
    empty(apiKeys) ? {} : { INFERENCE_API_KEYS: apiKeys },
    settings
  )
}

resource easyAuth 'Microsoft.Web/sites/config@2024-11-01' = if (authentication == 'easyAuth') {
  parent: app
  name: 'authsettingsV2'
  properties: {
    platform: { enabled: true }
    httpSettings: { requireHttps: true }
    globalValidation: {
      requireAuthentication: true
      unauthenticatedClientAction: 'Return401'
      excludedPaths: ['/health']
    }
    identityProviders: {
      azureActiveDirectory: {
        enabled: true
        registration: {
          clientId: entra.clientId
          openIdIssuer: '${environment().authentication.loginEndpoint}${entra.tenant}/v2.0'
        }
        validation: { allowedAudiences: empty(entra.audiences) ? [] : split(entra.audiences, ',') }
      }
    }
    login: { tokenStore: { enabled: false } }
  }
  // Two changes of one site's configuration at once can refuse each other.
  dependsOn: [appSettings]
}

@description('Resource id.')
output id string = app.id
@description('Name of the app.')
output name string = app.name
@description('Where the app answers.')
output url string = 'https://${app.properties.defaultHostName}'
