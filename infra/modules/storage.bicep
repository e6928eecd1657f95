// The host's storage, reached with identities only: `packages` holds the deployed app, `models` what people upload.

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
    deleteRetentionPolicy: { enabled: true, days: 7 }
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
