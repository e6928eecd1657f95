// The identity that the app runs as. It exists before the app, so that its roles do too.

@description('Name of the identity.')
param name string
@description('Region.')
param location string
@description('Tags.')
param tags object

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: name
  location: location
  tags: tags
}

@description('Resource id.')
output id string = identity.id
@description('Object id, for role assignments.')
output principalId string = identity.properties.principalId
@description('Client id, for asking for tokens.')
output clientId string = identity.properties.clientId
