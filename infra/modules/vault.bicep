// The key vault with the API keys. Without keys from the deployer one is made up, once: later deployments keep it.

import { roles, Deployer } from '../types.bicep'

@description('Name of the vault.')
param name string
@description('Region.')
param location string
@description('Tags.')
param tags object
@description('Object id of the app\'s identity.')
param principalId string
@description('Who may read and change the keys.')
param deployer Deployer
@description('Whether a deleted vault can be kept from being purged. It cannot be taken back.')
param purgeProtection bool
@secure()
@description('API keys, separated by commas; empty: one is made up.')
param apiKeys string
@secure()
@description('The key that is made up.')
param madeUpKey string = newGuid()

var secretName = 'api-keys'

resource vault 'Microsoft.KeyVault/vaults@2024-11-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    tenantId: tenant().tenantId
    sku: { family: 'A', name: 'standard' }
    enableRbacAuthorization: true
    enableSoftDelete: true
    softDeleteRetentionInDays: 7
    enablePurgeProtection: purgeProtection ? true : null
    // Flex Consumption resolves references from outside the virtual network; tokens and roles guard the vault.
    publicNetworkAccess: 'Enabled'
  }
}

@onlyIfNotExists()
resource madeUp 'Microsoft.KeyVault/vaults/secrets@2024-11-01' = if (empty(apiKeys)) {
  parent: vault
  name: secretName
  properties: { value: madeUpKey, contentType: 'text/plain' }
}

module given 'secret.bicep' = if (!empty(apiKeys)) {
  name: 'api-keys'
  params: { vaultName: vault.name, name: secretName, value: apiKeys }
}

resource read 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: vault
  name: guid(vault.id, principalId, roles.secretsUser)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.secretsUser)
  }
}

resource keep 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(deployer.id)) {
  scope: vault
  name: guid(vault.id, deployer.id, roles.secretsOfficer)
  properties: {
    principalId: deployer.id
    principalType: deployer.type
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.secretsOfficer)
  }
}

@description('Name of the vault.')
output name string = vault.name
@description('Where the newest version of the keys is; the keys themselves need a role to be read.')
output keysUri string = '${vault.properties.vaultUri}secrets/${secretName}'
