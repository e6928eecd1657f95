using 'group.bicep'

// Values that differ from the defaults of group.bicep; infra/README.md describes every parameter.
param environmentName = readEnvironmentVariable('AZURE_ENV_NAME', 'inference')

// Who uploads models and reads the keys: az ad signed-in-user show --query id --output tsv
param deployerId = readEnvironmentVariable('AZURE_PRINCIPAL_ID', '')
param deployerType = readEnvironmentVariable('AZURE_PRINCIPAL_TYPE', 'User')

// Keys of your own, from the environment and never from this file. Left out, one is made up and kept in the vault.
param apiKeys = readEnvironmentVariable('INFERENCE_API_KEYS', '')

// A warning by mail before the month costs more.
param monthlyBudget = int(readEnvironmentVariable('BUDGET', '0'))
param budgetEmails = readEnvironmentVariable('BUDGET_EMAILS', '')
param budgetStart = readEnvironmentVariable('BUDGET_START', '')
