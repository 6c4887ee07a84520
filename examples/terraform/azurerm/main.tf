# An account under a customer's key, with the azurerm provider. README.md has the environment that points it at a cloud.
terraform {
  required_providers {
    azurerm = {
      source  = "hashicorp/azurerm"
      version = "~> 4.0"
    }
  }
}

# ARM_METADATA_HOSTNAME says where the cloud is.
provider "azurerm" {
  resource_provider_registrations = "none"

  features {
    key_vault {
      purge_soft_delete_on_destroy    = false
      recover_soft_deleted_key_vaults = true
    }
    cognitive_account {
      purge_soft_delete_on_destroy = true
    }
  }
}

variable "name" {
  description = "Names the group, the account and its subdomain, and the vault (kv-<name>)."
  type        = string
}

variable "location" {
  type    = string
  default = "westeurope"
}

data "azurerm_client_config" "current" {}

resource "azurerm_resource_group" "this" {
  name     = var.name
  location = var.location
}

resource "azurerm_cognitive_account" "this" {
  name                  = var.name
  resource_group_name   = azurerm_resource_group.this.name
  location              = var.location
  kind                  = "OpenAI"
  sku_name              = "S0"
  custom_subdomain_name = var.name

  identity {
    type = "SystemAssigned"
  }

  lifecycle {
    # It is set by the resource below, once the identity may use the key.
    ignore_changes = [customer_managed_key]
  }
}

resource "azurerm_key_vault" "this" {
  name                       = "kv-${var.name}"
  resource_group_name        = azurerm_resource_group.this.name
  location                   = var.location
  tenant_id                  = data.azurerm_client_config.current.tenant_id
  sku_name                   = "standard"
  purge_protection_enabled   = true
  rbac_authorization_enabled = false

  access_policy {
    tenant_id       = data.azurerm_client_config.current.tenant_id
    object_id       = data.azurerm_client_config.current.object_id
    key_permissions = ["Create", "Get", "List", "Update", "Delete", "Recover", "GetRotationPolicy"]
  }

  access_policy {
    tenant_id       = data.azurerm_client_config.current.tenant_id
    object_id       = azurerm_cognitive_account.this.identity[0].principal_id
    key_permissions = ["Get", "WrapKey", "UnwrapKey"]
  }
}

resource "azurerm_key_vault_key" "at_rest" {
  name         = "at-rest"
  key_vault_id = azurerm_key_vault.this.id
  key_type     = "RSA"
  key_size     = 2048
  key_opts     = ["wrapKey", "unwrapKey"]
}

resource "azurerm_cognitive_account_customer_managed_key" "this" {
  cognitive_account_id = azurerm_cognitive_account.this.id
  key_vault_key_id     = azurerm_key_vault_key.at_rest.id
}

output "endpoint" {
  value = azurerm_cognitive_account.this.endpoint
}
