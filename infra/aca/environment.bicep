// Where containers run, and where their image is kept.

import { roles } from '../types.bicep'

@description('Name of the Container Apps environment.')
param name string
@description('Name of the container registry.')
param registryName string
@description('Region.')
param location string
@description('Tags.')
param tags object
@description('Workload profile that the app runs on.')
param workloadProfile string
@description('Machines of a dedicated profile that are kept.')
param minimumMachines int
@description('The most machines of a dedicated profile.')
param maximumMachines int
@description('Resource id of the Log Analytics workspace.')
param logsId string
@description('Subnet for the environment; empty: a network of the platform.')
param subnetId string
@description('Object id of the app\'s identity.')
param principalId string

var serverless = startsWith(workloadProfile, 'Consumption')
var machines = serverless ? {} : { minimumCount: minimumMachines, maximumCount: maximumMachines }
var chosen = union({ name: 'app', workloadProfileType: workloadProfile }, machines)

resource registry 'Microsoft.ContainerRegistry/registries@2025-04-01' = {
  name: registryName
  location: location
  tags: tags
  sku: { name: 'Basic' }
  properties: { adminUserEnabled: false }
}

resource pull 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: registry
  name: guid(registry.id, principalId, roles.acrPull)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.acrPull)
  }
}

resource managed 'Microsoft.App/managedEnvironments@2025-07-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    // Logs go by a diagnostic setting: the direct way needs the workspace's key, which is switched off.
    appLogsConfiguration: { destination: 'azure-monitor' }
    workloadProfiles: workloadProfile == 'Consumption'
      ? [{ name: 'Consumption', workloadProfileType: 'Consumption' }]
      : [{ name: 'Consumption', workloadProfileType: 'Consumption' }, chosen]
    vnetConfiguration: empty(subnetId) ? null : { infrastructureSubnetId: subnetId, internal: false }
  }
}

resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: managed
  name: 'logs'
  properties: {
    workspaceId: logsId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
  }
}

@description('Resource id of the environment.')
output id string = managed.id
@description('Name of the profile that the app runs on.')
output profile string = workloadProfile == 'Consumption' ? 'Consumption' : 'app'
@description('Host name of the registry.')
output registryServer string = registry.properties.loginServer
@description('Name of the registry.')
output registryName string = registry.name
