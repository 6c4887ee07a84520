"""openai, unmodified, in each form that reaches Azure OpenAI: what one stores all read, and none when the key is revoked.

python3 openai_forms.py ACCOUNT API_KEY DEPLOYMENT VAULT KEY
"""

import os
import sys
import time

import openai
from azure.identity import ClientSecretCredential, get_bearer_token_provider
from azure.keyvault.keys import KeyClient

account, api_key, deployment, vault, name = sys.argv[1:]
env = os.environ
credential = ClientSecretCredential(
    env["AZURE_TENANT_ID"],
    env["AZURE_CLIENT_ID"],
    env["AZURE_CLIENT_SECRET"],
    authority=env["AZURE_AUTHORITY_HOST"],
    disable_instance_discovery=True,
)
endpoint = f"https://{account}{env['OWNKEY_OPENAI_SUFFIX']}"
token = get_bearer_token_provider(credential, "https://cognitiveservices.azure.com/.default")
classic = {"azure_endpoint": endpoint, "api_version": "2024-10-21", "max_retries": 0}
v1 = {"base_url": f"{endpoint}/openai/v1/", "max_retries": 0}
clients = {
    "AzureOpenAI with a key": openai.AzureOpenAI(api_key=api_key, **classic),
    "AzureOpenAI with a token": openai.AzureOpenAI(azure_ad_token_provider=token, **classic),
    "OpenAI on v1 with a key": openai.OpenAI(api_key=api_key, **v1),
    "OpenAI on v1 with a token": openai.OpenAI(api_key=token, **v1),
}
data = b"\n".join(
    b'{"messages":[{"role":"user","content":"Say %d"},{"role":"assistant","content":"%d!"}]}' % (n, n) for n in range(12)
)
files = {}
for form, client in clients.items():
    files[form] = client.files.create(file=("data.jsonl", data), purpose="fine-tune").id
    assert client.models.list().data
    answer = client.chat.completions.create(model=deployment, messages=[{"role": "user", "content": "Say 3"}], max_tokens=8)
    assert answer.choices[0].message.content is not None
    chunks = client.chat.completions.create(
        model=deployment, messages=[{"role": "user", "content": "Say 3"}], max_tokens=8, stream=True
    )
    assert sum(1 for _ in chunks) > 1
for client in clients.values():
    assert all(client.files.content(file).read() == data for file in files.values())
    assert {file.id for file in client.files.list(purpose="fine-tune")} >= set(files.values())
print("stored")


def downloads(client):
    try:
        return client.files.content(files["AzureOpenAI with a key"]).read() == data
    except openai.PermissionDeniedError as refused:
        assert refused.code == "CustomerManagedKeyUnavailable", refused
        return False


def until(wanted):
    deadline = time.monotonic() + 10
    while any(downloads(client) != wanted for client in clients.values()):
        assert time.monotonic() < deadline, f"not {wanted} within 10 s"
        time.sleep(0.1)


keys = KeyClient(f"https://{vault}{env['OWNKEY_KEY_VAULT_SUFFIX']}/", credential)
version = keys.get_key(name).properties.version
keys.update_key_properties(name, version, enabled=False)
until(False)
print("revoked for each form")
keys.update_key_properties(name, version, enabled=True)
until(True)
for form, client in clients.items():
    assert client.files.delete(files[form]).deleted
print("recovered")
