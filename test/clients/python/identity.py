"""azure-identity, unmodified: each credential that can work here gets a token, and prints `<credential> <oid> <app> <how>`.

Not UsernamePasswordCredential: it asks for the user's realm on port 443, whatever the authority's port is. Nor what needs a
service that is not here: Azure Pipelines, the developer CLI, PowerShell, Visual Studio Code, on behalf of.
"""

import base64
import json
import os
import sys

from azure.identity import (
    AzureCliCredential,
    AzurePowerShellCredential,
    CertificateCredential,
    ChainedTokenCredential,
    ClientAssertionCredential,
    ClientSecretCredential,
    DefaultAzureCredential,
    DeviceCodeCredential,
    EnvironmentCredential,
    ManagedIdentityCredential,
    WorkloadIdentityCredential,
)

SCOPE = "https://vault.azure.net/.default"
given = json.load(sys.stdin)
tenant, app, secret = given["tenantId"], given["appId"], given["secret"]
options = {"authority": os.environ["AZURE_AUTHORITY_HOST"], "disable_instance_discovery": True}


def show(name, credential):
    payload = credential.get_token(SCOPE).token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    print(name, claims["oid"], claims["appid"], claims.get("appidacr", "-"), flush=True)


def in_environment(name, variables, *makers):
    """With these variables and no others of a login."""
    before = dict(os.environ)
    for key in list(os.environ):
        if key.startswith(("AZURE_", "IDENTITY_", "MSI_")) and key not in ("AZURE_AUTHORITY_HOST", "AZURE_CONFIG_DIR"):
            del os.environ[key]
    os.environ.update(variables)
    for maker in makers:
        show(f"{name}:{maker.__name__}", maker(**({} if maker is ManagedIdentityCredential else options)))
    os.environ.clear()
    os.environ.update(before)


own = {"AZURE_TENANT_ID": tenant, "AZURE_CLIENT_ID": app}
show("secret", ClientSecretCredential(tenant, app, secret, **options))
show("certificate", CertificateCredential(tenant, app, given["certificate"], **options))
show("assertion", ClientAssertionCredential(tenant, app, lambda: open(given["tokenFile"]).read(), **options))
show("workload", WorkloadIdentityCredential(tenant_id=tenant, client_id=app, token_file_path=given["tokenFile"], **options))
show("chain", ChainedTokenCredential(AzurePowerShellCredential(), ClientSecretCredential(tenant, app, secret, **options)))
in_environment("env-secret", {**own, "AZURE_CLIENT_SECRET": secret}, EnvironmentCredential, DefaultAzureCredential)
in_environment("env-certificate", {**own, "AZURE_CLIENT_CERTIFICATE_PATH": given["certificate"]}, EnvironmentCredential, DefaultAzureCredential)
in_environment("env-workload", {**own, "AZURE_FEDERATED_TOKEN_FILE": given["tokenFile"]}, DefaultAzureCredential)
for form, variables in given["managedIdentity"].items():
    in_environment(form, variables, ManagedIdentityCredential, DefaultAzureCredential)
if given["az"]:
    show("az", AzureCliCredential())


def prompt(uri, code, _expires):
    print("CODE", uri, code, flush=True)


show("device", DeviceCodeCredential(given["cli"], tenant_id=tenant, prompt_callback=prompt, **options))
