// The host's storage, reached with identities only: `packages` holds the deployed app, `models` what people upload,
// `responses` what callers let the app keep.

import { roles, Deployer } from '../types.bicep'

@description('Name of the storage account.')
param name string
@description('Region.')
param location string
@description('Tags.')
param tags object
@description('Object id of the app\'s identity.')
param principalId string
@description('Who may upload models.')
param deployer Deployer
@description('Whether only the virtual network and the allowed addresses may reach the account.')
param restricted bool
@description('IPv4 addresses and ranges that may reach a restricted account.')
param allowedAddresses string[]
@description('Days for which responses are kept; 0: none are.')
param responseDays int

resource storage 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: 'Standard_LRS' }
  properties: {
    accessTier: 'Hot'
    allowSharedKeyAccess: false
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: restricted && empty(allowedAddresses) ? 'Disabled' : 'Enabled'
    networkAcls: {
      bypass: 'None'
      defaultAction: restricted ? 'Deny' : 'Allow'
      ipRules: [for address in allowedAddresses: { action: 'Allow', value: address }]
    }
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-06-01' = {
  parent: storage
  name: 'default'
  properties: {
    // A caller who deletes a response is promised that it is gone.
    deleteRetentionPolicy: responseDays > 0 ? { enabled: false } : { enabled: true, days: 7 }
  }
}

resource packages 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' = {
  parent: blobs
  name: 'packages'
  properties: { publicAccess: 'None' }
}

resource models 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' = {
  parent: blobs
  name: 'models'
  properties: { publicAccess: 'None' }
}

resource responses 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' = if (responseDays > 0) {
  parent: blobs
  name: 'responses'
  properties: { publicAccess: 'None' }
}

// The app shows no response whose time is over; this removes its blob.
resource expiry 'Microsoft.Storage/storageAccounts/managementPolicies@2025-06-01' = if (responseDays > 0) {
  parent: storage
  name: 'default'
  properties: {
    policy: {
      rules: [
        {
          name: 'responses'
          enabled: true
          type: 'Lifecycle'
          definition: {
            filters: { blobTypes: ['blockBlob'], prefixMatch: ['responses/'] }
            actions: { baseBlob: { delete: { daysAfterCreationGreaterThan: responseDays } } }
          }
        }
      ]
    }
  }
}

// The Functions host needs ownership, not only reading and writing: it leases blobs for its locks and secrets.
resource own 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: storage
  name: guid(storage.id, principalId, roles.blobOwner)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.blobOwner)
  }
}

// Covered by the ownership above for as long as the host and the responses share an account.
resource keep 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (responseDays > 0) {
  scope: responses
  name: guid(responses.id, principalId, roles.blobContributor)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.blobContributor)
  }
}

resource upload 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(deployer.id)) {
  scope: models
  name: guid(models.id, deployer.id, roles.blobContributor)
  properties: {
    principalId: deployer.id
    principalType: deployer.type
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.blobContributor)
  }
}

@description('Resource id.')
output id string = storage.id
@description('Name of the account.')
output name string = storage.name
@description('URL of the container that the app is deployed to.')
output packagesUrl string = '${storage.properties.primaryEndpoints.blob}${packages.name}'
@description('URL of the container for models.')
output modelsUrl string = '${storage.properties.primaryEndpoints.blob}${models.name}'
@description('URL of the container for responses; empty: none are kept.')
output responsesUrl string = responseDays > 0 ? '${storage.properties.primaryEndpoints.blob}${responses.name}' : ''
