using 'main.bicep'

// Every parameter, from the environment: `azd env set NAME VALUE`, or `export NAME=VALUE` before `az deployment`.
// What is not set has the default of the template; infra/README.md describes each.
param environmentName = readEnvironmentVariable('AZURE_ENV_NAME', 'inference')

// JSON: {"cost-center": "42"}
param tags = json(readEnvironmentVariable('RESOURCE_TAGS', '{}'))

// JSON: {"app": "my-endpoint"}
param names = json(readEnvironmentVariable('RESOURCE_NAMES', '{}'))

// Empty at first; then what `az acr build` made: REGISTRY_SERVER/model-inference:TAG
param image = readEnvironmentVariable('IMAGE', '')
param workloadProfile = readEnvironmentVariable('WORKLOAD_PROFILE', 'Consumption')
param cores = readEnvironmentVariable('CORES', '2')
param memoryGiB = int(readEnvironmentVariable('MEMORY_GIB', '4'))
param minReplicas = int(readEnvironmentVariable('MIN_REPLICAS', '0'))
param maxReplicas = int(readEnvironmentVariable('MAX_REPLICAS', '10'))
param minimumMachines = int(readEnvironmentVariable('MINIMUM_MACHINES', '0'))
param maximumMachines = int(readEnvironmentVariable('MAXIMUM_MACHINES', '3'))
param subnetId = readEnvironmentVariable('SUBNET_ID', '')
param authentication = readEnvironmentVariable('AUTHENTICATION', 'keys')

// Keys of your own, from the environment and never from this file. Left out, one is made up and kept in the vault.
param apiKeys = readEnvironmentVariable('INFERENCE_API_KEYS', '')
param purgeProtection = bool(readEnvironmentVariable('PURGE_PROTECTION', 'false'))
param entraTenantId = readEnvironmentVariable('ENTRA_TENANT_ID', '')
param entraAudiences = readEnvironmentVariable('ENTRA_AUDIENCES', '')
param entraRoles = readEnvironmentVariable('ENTRA_ROLES', '')
param contentSafetyEndpoint = readEnvironmentVariable('CONTENT_SAFETY_ENDPOINT', '')
param corsOrigins = readEnvironmentVariable('CORS_ORIGINS', '')
param logRetentionDays = int(readEnvironmentVariable('LOG_RETENTION_DAYS', '30'))
param logDailyCapGB = int(readEnvironmentVariable('LOG_DAILY_CAP_GB', '1'))

// Prompts and answers are kept for so many days; 0 keeps none.
param responseDays = int(readEnvironmentVariable('RESPONSE_DAYS', '30'))
param modelsFromStorage = bool(readEnvironmentVariable('MODELS_FROM_STORAGE', 'false'))

// Any other setting of the app, as JSON: {"INFERENCE_SLOTS": "4"}. docs/settings.md lists them.
param settings = json(readEnvironmentVariable('APP_SETTINGS', '{}'))

// Who uploads models and reads the keys: az ad signed-in-user show --query id --output tsv
param deployerId = readEnvironmentVariable('AZURE_PRINCIPAL_ID', '')
param deployerType = readEnvironmentVariable('AZURE_PRINCIPAL_TYPE', 'User')
