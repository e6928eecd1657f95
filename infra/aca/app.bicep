// The app as a container that Azure Container Apps runs as a function app.

import { Authentication, Entra, inferenceSettings, origins } from '../types.bicep'

@description('Name of the container app.')
param name string
@description('Region.')
param location string
@description('Tags.')
param tags object
@description('Resource id of the environment.')
param environmentId string
@description('Name of the workload profile in the environment.')
param profile string
@description('Image, with its registry and tag.')
param image string
@description('Host name of the registry.')
param registryServer string
@description('Processors of a replica.')
param cores string
@description('Memory of a replica, in GiB.')
param memoryGiB int
@description('Replicas that are kept.')
param minReplicas int
@description('The most replicas.')
param maxReplicas int
@description('Execution providers of onnxruntime, in the order they are tried.')
param providers string
@description('Resource id of the identity.')
param identityId string
@description('Client id of the identity.')
param identityClientId string
@description('Name of the storage account.')
param storageName string
@description('Name of Application Insights.')
param insightsName string
@description('How callers prove who they are.')
param authentication Authentication
@description('Whose tokens are accepted.')
param entra Entra
@description('Where the API keys are in the key vault; empty: callers bring tokens.')
param keysUri string
@description('Endpoint of Content Safety; empty: none.')
param contentSafetyEndpoint string
@description('Origins of web pages, separated by commas; empty: none.')
param corsOrigins string
@description('Value of INFERENCE_MODELS: where deployments lie.')
param models string
@description('URL of the container for responses; empty: none are kept.')
param responses string
@description('Days for which responses are kept.')
param responseDays int
@description('More settings.')
param settings object

var port = 8080

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insightsName
}

var environmentVariables = union(
  {
    FUNCTIONS_WORKER_RUNTIME: 'python'
    AzureWebJobsStorage__accountName: storageName
    AzureWebJobsStorage__credential: 'managedidentity'
    AzureWebJobsStorage__clientId: identityClientId
    APPLICATIONINSIGHTS_CONNECTION_STRING: insights.properties.ConnectionString
    APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
    AZURE_CLIENT_ID: identityClientId
    PYTHON_ENABLE_INIT_INDEXING: '1'
    INFERENCE_PROVIDERS: providers
  },
  inferenceSettings(
    models,
    memoryGiB * 1024,
    authentication,
    entra,
    environment().authentication.loginEndpoint,
    contentSafetyEndpoint,
    corsOrigins,
    responses,
    responseDays
  ),
  settings
)

resource app 'Microsoft.App/containerApps@2025-07-01' = {
  name: name
  location: location
  tags: tags
  kind: 'functionapp'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  properties: {
    environmentId: environmentId
    workloadProfileName: profile
    configuration: {
      activeRevisionsMode: 'Single'
      ingress: {
        external: true
        allowInsecure: false
        targetPort: port
        transport: 'auto'
        corsPolicy: empty(corsOrigins) ? null : {
          allowedOrigins: origins(corsOrigins)
          allowedMethods: ['GET', 'HEAD', 'OPTIONS', 'POST']
          allowedHeaders: ['*']
          exposeHeaders: ['*']
          allowCredentials: false
          maxAge: 7200
        }
      }
      registries: [{ server: registryServer, identity: identityId }]
      secrets: empty(keysUri) ? [] : [{ name: 'api-keys', keyVaultUrl: keysUri, identity: identityId }]
    }
    template: {
      containers: [
        {
          name: 'api'
          image: image
          resources: { cpu: json(cores), memory: '${memoryGiB}Gi' }
          env: concat(
            map(items(environmentVariables), variable => { name: variable.key, value: variable.value }),
            empty(keysUri) ? [] : [{ name: 'INFERENCE_API_KEYS', secretRef: 'api-keys' }]
          )
          probes: [
            {
              type: 'Startup'
              httpGet: { path: '/health', port: port }
              periodSeconds: 5
              failureThreshold: 48
            }
            {
              type: 'Readiness'
              httpGet: { path: '/health', port: port }
              periodSeconds: 10
              timeoutSeconds: 5
              failureThreshold: 6
            }
          ]
        }
      ]
      // No rules: for function apps the platform makes KEDA's rules from the triggers and refuses others.
      scale: { minReplicas: minReplicas, maxReplicas: maxReplicas }
    }
  }
}

@description('Name of the app.')
output name string = app.name
@description('Where the app answers.')
output url string = 'https://${app.properties.configuration.ingress.fqdn}'
