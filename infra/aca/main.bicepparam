using 'main.bicep'

// Values that differ from the defaults of main.bicep; infra/README.md describes every parameter.
param environmentName = readEnvironmentVariable('AZURE_ENV_NAME', 'inference')

// Empty at first; then what `az acr build` made: REGISTRY_SERVER/model-inference:TAG
param image = readEnvironmentVariable('IMAGE', '')
param workloadProfile = readEnvironmentVariable('WORKLOAD_PROFILE', 'Consumption')

// Who uploads models and reads the keys: az ad signed-in-user show --query id --output tsv
param deployerId = readEnvironmentVariable('AZURE_PRINCIPAL_ID', '')
param deployerType = readEnvironmentVariable('AZURE_PRINCIPAL_TYPE', 'User')

// Keys of your own, from the environment and never from this file. Left out, one is made up and kept in the vault.
param apiKeys = readEnvironmentVariable('INFERENCE_API_KEYS', '')
