// A secret whose value the deployer gives: every deployment writes it.

@description('Name of the vault.')
param vaultName string
@description('Name of the secret.')
param name string
@secure()
@description('Its value.')
param value string

resource vault 'Microsoft.KeyVault/vaults@2024-11-01' existing = {
  name: vaultName
}

resource secret 'Microsoft.KeyVault/vaults/secrets@2024-11-01' = {
  parent: vault
  name: name
  properties: { value: value, contentType: 'text/plain' }
}
