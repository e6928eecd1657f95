// A private endpoint of one resource, and the DNS zone through which the network finds it.

@description('Name of the endpoint.')
param name string
@description('Region.')
param location string
@description('Tags.')
param tags object
@description('The resource behind the endpoint.')
param targetId string
@description('Which of its services: blob, account, sites.')
param service string
@description('The service\'s private DNS zone.')
param zone string
@description('Resource id of the virtual network.')
param networkId string
@description('Subnet that holds the endpoint.')
param subnetId string

resource endpoint 'Microsoft.Network/privateEndpoints@2024-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    subnet: { id: subnetId }
    privateLinkServiceConnections: [
      {
        name: service
        properties: { privateLinkServiceId: targetId, groupIds: [service] }
      }
    ]
  }
}

resource dns 'Microsoft.Network/privateDnsZones@2024-06-01' = {
  name: zone
  location: 'global'
  tags: tags
}

resource link 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = {
  parent: dns
  name: 'network'
  location: 'global'
  tags: tags
  properties: {
    registrationEnabled: false
    virtualNetwork: { id: networkId }
  }
}

resource records 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2024-05-01' = {
  parent: endpoint
  name: 'default'
  properties: {
    privateDnsZoneConfigs: [
      {
        name: service
        properties: { privateDnsZoneId: dns.id }
      }
    ]
  }
}
