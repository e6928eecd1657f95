// What several templates share: types, lists of regions, role definitions, and the app's settings.

@export()
@description('Names of resources. What is left out gets a name made of its kind, the environment and a hash.')
type Names = {
  @description('The function app, or the container app: the first label of its host name.')
  app: string?
  @description('The Flex Consumption plan, or the Container Apps environment.')
  plan: string?
  @description('The storage account: 3 to 24 lower-case letters and digits.')
  storage: string?
  @description('The identity that the app runs as.')
  identity: string?
  @description('Application Insights.')
  insights: string?
  @description('The Log Analytics workspace.')
  logs: string?
  @description('The Content Safety account: also its sub-domain.')
  safety: string?
  @description('The key vault: 3 to 24 letters, digits and dashes.')
  vault: string?
  @description('The virtual network.')
  network: string?
  @description('The container registry of infra/aca: letters and digits.')
  registry: string?
}

@export()
@description('Who deploys, for the roles a person needs afterwards. An empty id assigns none.')
type Deployer = {
  @description('Object id in Microsoft Entra.')
  id: string
  @description('What the id belongs to.')
  type: 'User' | 'Group' | 'ServicePrincipal'
}

@export()
@description('How callers prove who they are. easyAuth puts the platform in front and lets the app verify as well.')
type Authentication = 'keys' | 'entra' | 'keysAndEntra' | 'easyAuth'

@export()
@description('Whose tokens are accepted.')
type Entra = {
  @description('Id of the tenant.')
  tenant: string
  @description('Audiences, separated by commas; empty: those of settings.py.')
  audiences: string
  @description('App roles, separated by commas; empty: any token of the tenant for an audience.')
  roles: string
  @description('Client id of the app registration in front of the app; for easyAuth only.')
  clientId: string
}

@export()
@description('Where Content Safety can be created.')
var safetyRegions = [
  'australiaeast'
  'brazilsouth'
  'canadacentral'
  'canadaeast'
  'centralus'
  'eastus'
  'eastus2'
  'francecentral'
  'germanywestcentral'
  'italynorth'
  'japaneast'
  'koreacentral'
  'northcentralus'
  'polandcentral'
  'southafricanorth'
  'southcentralus'
  'southeastasia'
  'southindia'
  'spaincentral'
  'swedencentral'
  'switzerlandnorth'
  'switzerlandwest'
  'uaenorth'
  'uksouth'
  'westeurope'
  'westus'
  'westus2'
  'westus3'
]

@export()
@description('Built-in roles, by what they allow.')
var roles = {
  blobOwner: 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
  blobContributor: 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'
  metricsPublisher: '3913510d-42f4-4e42-8a64-420c390055eb'
  cognitiveUser: 'a97b65f3-24c7-4388-baec-2e87135dc908'
  secretsUser: '4633458b-17de-408a-b874-0445c86b69e6'
  secretsOfficer: 'b86a8fe4-44ce-4948-aee5-eccb2c155cd7'
  acrPull: '7f951dda-4ed3-4680-a7ca-43fe172d538d'
}

@export()
@description('The settings of inference/settings.py that a deployment decides; all others keep their defaults. Keys are added where they are kept.')
func inferenceSettings(models string, memoryMB int, authentication string, entra Entra, authority string, safety string, cors string, responses string, responseDays int) object => union(
  {
    INFERENCE_MODELS: models
    INFERENCE_MEMORY_MB: string(memoryMB * 3 / 4)
  },
  authentication == 'keys' ? {} : { INFERENCE_ENTRA_TENANT: entra.tenant, INFERENCE_ENTRA_AUTHORITY: authority },
  authentication == 'keys' || empty(entra.audiences) ? {} : { INFERENCE_ENTRA_AUDIENCES: entra.audiences },
  authentication == 'keys' || empty(entra.roles) ? {} : { INFERENCE_ENTRA_ROLES: entra.roles },
  empty(safety) ? {} : { INFERENCE_CONTENT_SAFETY_ENDPOINT: safety },
  empty(cors) ? {} : { INFERENCE_CORS_ORIGINS: cors },
  empty(responses)
    ? { INFERENCE_RESPONSES: 'off' }
    : { INFERENCE_RESPONSES: responses, INFERENCE_RESPONSES_DAYS: string(responseDays) }
)

@export()
@description('The origins in the value of INFERENCE_CORS_ORIGINS, for the CORS of the platform, which answers before the app.')
func origins(cors string) array => empty(cors) ? [] : map(split(cors, ','), origin => trim(origin))
