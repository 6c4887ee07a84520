"""azure-mgmt-cognitiveservices, unmodified: an account's life. python3 cognitiveservices.py GROUP LOCATION VAULT"""

import os
import sys

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.identity import ClientSecretCredential
from azure.mgmt.cognitiveservices import CognitiveServicesManagementClient

group, location, vault_uri = sys.argv[1:]
env = os.environ
manager = env["OWNKEY_RESOURCE_MANAGER"]
credential = ClientSecretCredential(
    env["AZURE_TENANT_ID"],
    env["AZURE_CLIENT_ID"],
    env["AZURE_CLIENT_SECRET"],
    authority=env["AZURE_AUTHORITY_HOST"],
    disable_instance_discovery=True,
)
client = CognitiveServicesManagementClient(
    credential, env["AZURE_SUBSCRIPTION_ID"], base_url=manager, credential_scopes=[f"{manager}/.default"]
)
accounts, name = client.accounts, "py-life"
body = {
    "location": location,
    "kind": "OpenAI",
    "sku": {"name": "S0"},
    "identity": {"type": "SystemAssigned"},
    "properties": {"customSubDomainName": name},
}


def refused(error, call):
    try:
        call()
    except error as found:
        return found
    raise AssertionError(f"{error.__name__} was expected")


made = accounts.begin_create(group, name, body).result()
assert made.properties.provisioning_state == "Succeeded"
assert made.properties.encryption.key_source == "Microsoft.CognitiveServices"
assert accounts.get(group.upper(), name).identity.principal_id == made.identity.principal_id
assert [one.name for one in accounts.list_by_resource_group(group)] == [name] and name in [one.name for one in accounts.list()]
print("created")

keys = accounts.list_keys(group, name)
assert accounts.regenerate_key(group, name, {"keyName": "Key1"}).key1 != keys.key1
assert len(list(accounts.list_models(group, name))) > 0 and len(accounts.list_skus(group, name).value) > 0
assert len(list(client.models.list(location))) > 0 and len(list(client.usages.list(location))) > 0
print("keys, models, skus, usages")

model = {"format": "OpenAI", "name": "gpt-4o-mini", "version": "1"}
deployment = {"sku": {"name": "Standard", "capacity": 1}, "properties": {"model": model}}
client.deployments.begin_create_or_update(group, name, "base", deployment).result()
assert [one.name for one in client.deployments.list(group, name)] == ["base"]
client.deployments.begin_delete(group, name, "base").result()
refused(ResourceNotFoundError, lambda: client.deployments.get(group, name, "base"))
print("deployed")

key = {"keyVaultUri": vault_uri, "keyName": "missing", "keyVersion": ""}
update = lambda encryption: accounts.begin_update(group, name, {"properties": {"encryption": encryption}}).result()
error = refused(HttpResponseError, lambda: update({"keySource": "Microsoft.KeyVault", "keyVaultProperties": key}))
assert error.status_code == 400 and error.error.code == "CustomerManagedKeyRequirementsNotMet", error
print("refused", made.identity.principal_id, flush=True)

sys.stdin.readline()
key["keyName"] = "at-rest"
under = update({"keySource": "Microsoft.KeyVault", "keyVaultProperties": key})
assert under.properties.encryption.key_vault_properties.key_name == "at-rest"
assert update({"keySource": "Microsoft.CognitiveServices"}).properties.encryption.key_vault_properties is None
print("under the customer's key and back")

accounts.begin_delete(group, name).result()
assert [one.name for one in client.deleted_accounts.list()] == [name]
assert refused(HttpResponseError, lambda: accounts.begin_create(group, name, body).result()).status_code == 409
accounts.begin_create(group, name, {"location": location, "properties": {"restore": True}}).result()
accounts.begin_delete(group, name).result()
client.deleted_accounts.begin_purge(location, group, name).result()
assert list(client.deleted_accounts.list()) == []
print("deleted, restored, purged")
