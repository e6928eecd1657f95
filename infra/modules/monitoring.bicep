// Log Analytics and Application Insights, both without local keys: telemetry is sent with the app's identity.

import { roles } from '../types.bicep'

@description('Name of the Log Analytics workspace.')
param logsName string
@description('Name of Application Insights.')
param insightsName string
@description('Region.')
param location string
@description('Tags.')
param tags object
@description('Object id of the app\'s identity.')
param principalId string
@description('How long logs are kept, in days.')
param retentionDays int
@description('The most that is taken in a day, in GB: the cap on what logs can cost.')
param dailyCapGB int

resource logs 'Microsoft.OperationalInsights/workspaces@2025-02-01' = {
  name: logsName
  location: location
  tags: tags
  properties: {
    sku: { name: 'PerGB2018' }
    retentionInDays: retentionDays
    workspaceCapping: { dailyQuotaGb: dailyCapGB }
    features: { disableLocalAuth: true }
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: insightsName
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: logs.id
    DisableLocalAuth: true
  }
}

resource publish 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: insights
  name: guid(insights.id, principalId, roles.metricsPublisher)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.metricsPublisher)
  }
}

@description('Name of Application Insights.')
output insightsName string = insights.name
@description('Resource id of the workspace.')
output logsId string = logs.id
