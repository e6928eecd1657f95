using 'group.bicep'

// Every parameter, from the environment: `azd env set NAME VALUE`, or `export NAME=VALUE` before `az deployment`.
// What is not set has the default of the template; infra/README.md describes each.
param environmentName = readEnvironmentVariable('AZURE_ENV_NAME', 'inference')

// JSON: {"cost-center": "42"}
param tags = json(readEnvironmentVariable('RESOURCE_TAGS', '{}'))

// JSON: {"app": "my-endpoint"}
param names = json(readEnvironmentVariable('RESOURCE_NAMES', '{}'))
param instanceMemoryMB = int(readEnvironmentVariable('INSTANCE_MEMORY_MB', '2048'))
param maximumInstanceCount = int(readEnvironmentVariable('MAXIMUM_INSTANCE_COUNT', '40'))
param httpConcurrency = int(readEnvironmentVariable('HTTP_CONCURRENCY', '4'))
param alwaysReadyCount = int(readEnvironmentVariable('ALWAYS_READY_COUNT', '0'))
param pythonVersion = readEnvironmentVariable('APP_PYTHON_VERSION', '3.12')
param authentication = readEnvironmentVariable('AUTHENTICATION', 'keys')

// Keys of your own, from the environment and never from this file. Left out, one is made up and kept in the vault.
param apiKeys = readEnvironmentVariable('INFERENCE_API_KEYS', '')
param keyVault = bool(readEnvironmentVariable('KEY_VAULT', 'true'))
param purgeProtection = bool(readEnvironmentVariable('PURGE_PROTECTION', 'false'))
param entraTenantId = readEnvironmentVariable('ENTRA_TENANT_ID', '')
param entraAudiences = readEnvironmentVariable('ENTRA_AUDIENCES', '')
param entraRoles = readEnvironmentVariable('ENTRA_ROLES', '')
param entraClientId = readEnvironmentVariable('ENTRA_CLIENT_ID', '')
param contentSafety = readEnvironmentVariable('CONTENT_SAFETY', 'new')
param contentSafetySku = readEnvironmentVariable('CONTENT_SAFETY_SKU', 'S0')
param contentSafetyLocation = readEnvironmentVariable('CONTENT_SAFETY_LOCATION', '')
param contentSafetyEndpoint = readEnvironmentVariable('CONTENT_SAFETY_ENDPOINT', '')
param privateNetwork = bool(readEnvironmentVariable('PRIVATE_NETWORK', 'false'))
param publicEndpoint = bool(readEnvironmentVariable('PUBLIC_ENDPOINT', 'true'))
param corsOrigins = readEnvironmentVariable('CORS_ORIGINS', '')
param addressPrefix = readEnvironmentVariable('ADDRESS_PREFIX', '10.42.0.0/24')
param allowedAddresses = readEnvironmentVariable('ALLOWED_ADDRESSES', '')

// A warning by mail before the month costs more.
param monthlyBudget = int(readEnvironmentVariable('BUDGET', '0'))
param budgetEmails = readEnvironmentVariable('BUDGET_EMAILS', '')
param budgetStart = readEnvironmentVariable('BUDGET_START', '')
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
