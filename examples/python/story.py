"""The article's story with the official Python SDKs, pointed at a cloud by environment alone:

    eval "$(./ownkey env --data-dir DIR)"
    PYTHONPATH=src/http/python python3 examples/python/story.py ACCOUNT VAULT GROUP

PYTHONPATH makes *.localhost resolve where the machine does not do that by itself. The account and the vault exist, with a key
`at-rest` that the account's identity may use.
"""

import os
import sys
import time

import openai
from azure.identity import ClientSecretCredential
from azure.keyvault.keys import KeyClient
from azure.mgmt.cognitiveservices import CognitiveServicesManagementClient

account, vault, group = sys.argv[1], sys.argv[2], sys.argv[3]
env = os.environ
manager = env["OWNKEY_RESOURCE_MANAGER"]
credential = ClientSecretCredential(
    env["AZURE_TENANT_ID"],
    env["AZURE_CLIENT_ID"],
    env["AZURE_CLIENT_SECRET"],
    authority=env["AZURE_AUTHORITY_HOST"],
    disable_instance_discovery=True,
)
vault_uri = f"https://{vault}{env['OWNKEY_KEY_VAULT_SUFFIX']}/"
keys = KeyClient(vault_uri, credential, verify_challenge_resource=False)
accounts = CognitiveServicesManagementClient(
    credential, env["AZURE_SUBSCRIPTION_ID"], base_url=manager, credential_scopes=[f"{manager}/.default"]
).accounts
client = openai.AzureOpenAI(
    azure_endpoint=f"https://{account}{env['OWNKEY_OPENAI_SUFFIX']}",
    api_key=accounts.list_keys(group, account).key1,
    api_version="2024-10-21",
    max_retries=0,
)


def use_key(version: str) -> None:
    properties = {"keyVaultUri": vault_uri, "keyName": "at-rest", "keyVersion": version}
    encryption = {"keySource": "Microsoft.KeyVault", "keyVaultProperties": properties}
    accounts.begin_update(group, account, {"properties": {"encryption": encryption}}).result()


use_key(keys.get_key("at-rest").properties.version)
data = b"\n".join(
    b'{"messages":[{"role":"user","content":"Say %d"},{"role":"assistant","content":"%d!"}]}' % (n, n) for n in range(12)
)
file = client.files.create(file=("data.jsonl", data), purpose="fine-tune")
assert client.files.content(file.id).read() == data
print("uploaded and read under the customer's key")

rotated = keys.rotate_key("at-rest")
use_key(rotated.properties.version)
assert client.files.content(file.id).read() == data
print("rotated")

keys.update_key_properties("at-rest", rotated.properties.version, enabled=False)
start = time.monotonic()
while True:
    try:
        client.files.content(file.id).read()
    except openai.PermissionDeniedError as refused:
        assert refused.code == "CustomerManagedKeyUnavailable"
        break
    time.sleep(0.1)
print(f"revoked: refused after {time.monotonic() - start:.1f} s")
keys.update_key_properties("at-rest", rotated.properties.version, enabled=True)
while True:
    try:
        assert client.files.content(file.id).read() == data
        break
    except openai.PermissionDeniedError:
        time.sleep(0.1)
print("recovered")
