// A virtual network: one subnet for the app's instances, one for private endpoints.

@description('Name of the network.')
param name string
@description('Region.')
param location string
@description('Tags.')
param tags object
@description('IPv4 range of the network: /16 to /24.')
param addressPrefix string

resource network 'Microsoft.Network/virtualNetworks@2024-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    addressSpace: { addressPrefixes: [addressPrefix] }
    subnets: [
      {
        name: 'app'
        properties: {
          addressPrefix: cidrSubnet(addressPrefix, 26, 0)
          delegations: [
            {
              name: 'app'
              properties: { serviceName: 'Microsoft.App/environments' }
            }
          ]
        }
      }
      {
        name: 'endpoints'
        properties: {
          addressPrefix: cidrSubnet(addressPrefix, 26, 1)
          privateEndpointNetworkPolicies: 'Disabled'
        }
      }
    ]
  }
}

@description('Resource id.')
output id string = network.id
@description('Subnet for the app\'s instances.')
output appSubnetId string = '${network.id}/subnets/app'
@description('Subnet for private endpoints.')
output endpointSubnetId string = '${network.id}/subnets/endpoints'
