// A Content Safety account that takes tokens only; the sub-domain is what makes tokens possible.

import { roles } from '../types.bicep'

@description('Name of the account, and its sub-domain.')
param name string
@description('Region: one that offers Content Safety.')
param location string
@description('Tags.')
param tags object
@description('F0 is free and small, one an account; S0 is paid by the record.')
param sku string
@description('Object id of the app\'s identity.')
param principalId string
@description('Whether only the virtual network may reach the account.')
param restricted bool

resource safety 'Microsoft.CognitiveServices/accounts@2025-06-01' = {
  name: name
  location: location
  tags: tags
  kind: 'ContentSafety'
  sku: { name: sku }
  properties: {
    customSubDomainName: name
    disableLocalAuth: true
    publicNetworkAccess: restricted ? 'Disabled' : 'Enabled'
    networkAcls: { defaultAction: restricted ? 'Deny' : 'Allow' }
  }
}

resource use 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: safety
  name: guid(safety.id, principalId, roles.cognitiveUser)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.cognitiveUser)
  }
}

@description('Resource id.')
output id string = safety.id
@description('Where the service answers.')
output endpoint string = safety.properties.endpoint
