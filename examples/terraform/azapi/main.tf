# An account under a customer's key, with the azapi provider. README.md has the environment that points it at a cloud.
terraform {
  required_providers {
    azapi = { source = "Azure/azapi" }
  }
}

provider "azapi" {}

variable "name" {
  description = "Names the group, the account and its subdomain, and the vault (kv-<name>)."
  type        = string
}

variable "location" {
  type    = string
  default = "westeurope"
}

variable "tags" {
  type    = map(string)
  default = {}
}

variable "key_name" {
  description = "A key in the vault. Empty: the account is under the service's keys."
  type        = string
  default     = ""
}

data "azapi_client_config" "current" {}

locals {
  tenant_id = data.azapi_client_config.current.tenant_id
  vault_uri = azapi_resource.vault.output.properties.vaultUri
}

resource "azapi_resource" "group" {
  type     = "Microsoft.Resources/resourceGroups@2021-04-01"
  name     = var.name
  location = var.location
  tags     = var.tags
}

resource "azapi_resource" "account" {
  type      = "Microsoft.CognitiveServices/accounts@2025-06-01"
  parent_id = azapi_resource.group.id
  name      = var.name
  location  = var.location
  tags      = var.tags

  identity {
    type = "SystemAssigned"
  }

  body = {
    kind = "OpenAI"
    sku  = { name = "S0" }
    properties = {
      customSubDomainName = var.name
      publicNetworkAccess = "Enabled"
    }
  }

  response_export_values = ["properties.endpoint"]
}

# The article asks for soft delete, purge protection and access policies.
resource "azapi_resource" "vault" {
  type      = "Microsoft.KeyVault/vaults@2023-07-01"
  parent_id = azapi_resource.group.id
  name      = "kv-${var.name}"
  location  = var.location
  tags      = var.tags

  body = {
    properties = {
      tenantId                = local.tenant_id
      sku                     = { family = "A", name = "standard" }
      enableSoftDelete        = true
      enablePurgeProtection   = true
      enableRbacAuthorization = false
      accessPolicies = [
        {
          tenantId    = local.tenant_id
          objectId    = data.azapi_client_config.current.object_id
          permissions = { keys = ["create", "get", "list", "update", "delete", "recover", "rotate"] }
        },
        {
          tenantId    = local.tenant_id
          objectId    = azapi_resource.account.identity[0].principal_id
          permissions = { keys = ["get", "wrapKey", "unwrapKey"] }
        },
      ]
    }
  }

  response_export_values = ["properties.vaultUri"]
}

# The identity exists before the policy, the policy before the encryption: so this is a resource of its own.
resource "azapi_update_resource" "encryption" {
  type        = "Microsoft.CognitiveServices/accounts@2025-06-01"
  resource_id = azapi_resource.account.id

  body = {
    properties = {
      encryption = merge(
        { keySource = var.key_name == "" ? "Microsoft.CognitiveServices" : "Microsoft.KeyVault" },
        var.key_name == "" ? {} : {
          keyVaultProperties = {
            keyVaultUri = local.vault_uri
            keyName     = var.key_name
            keyVersion  = ""
          }
        },
      )
    }
  }

  response_export_values = ["properties.encryption.keySource"]
}

output "endpoint" {
  value = azapi_resource.account.output.properties.endpoint
}

output "vault_uri" {
  value = local.vault_uri
}

output "key_source" {
  value = azapi_update_resource.encryption.output.properties.encryption.keySource
}
