"""azure-keyvault-keys, unmodified, on a vault in which the caller has every permission: python3 keyvault_keys.py VAULT"""

import os
import sys
from datetime import datetime, timezone

from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.identity import ClientSecretCredential
from azure.keyvault.keys import JsonWebKey, KeyClient, KeyRotationLifetimeAction, KeyRotationPolicy, KeyRotationPolicyAction
from azure.keyvault.keys.crypto import CryptographyClient, EncryptionAlgorithm, KeyWrapAlgorithm, SignatureAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa

env = os.environ
credential = ClientSecretCredential(
    env["AZURE_TENANT_ID"],
    env["AZURE_CLIENT_ID"],
    env["AZURE_CLIENT_SECRET"],
    authority=env["AZURE_AUTHORITY_HOST"],
    disable_instance_discovery=True,
)
keys = KeyClient(f"https://{sys.argv[1]}{env['OWNKEY_KEY_VAULT_SUFFIX']}/", credential)


def refused(error, call):
    try:
        call()
    except error as found:
        return str(found)
    raise AssertionError(f"{error.__name__} was expected")


first = keys.create_rsa_key("rsa", size=2048, tags={"a": "1"})
assert keys.create_ec_key("ec", curve="P-256").key_type == "EC"
assert keys.create_rsa_key("hsm", size=2048, hardware_protected=True).key_type == "RSA-HSM"
assert keys.create_oct_key("oct", size=256, hardware_protected=True).key_type == "oct-HSM"
print("created")

numbers = rsa.generate_private_key(65537, 2048).private_numbers()
to_bytes = lambda n: n.to_bytes((n.bit_length() + 7) // 8, "big")
own = JsonWebKey(
    kty="RSA",
    key_ops=["encrypt", "decrypt"],
    n=to_bytes(numbers.public_numbers.n),
    e=to_bytes(65537),
    d=to_bytes(numbers.d),
    p=to_bytes(numbers.p),
    q=to_bytes(numbers.q),
    dp=to_bytes(numbers.dmp1),
    dq=to_bytes(numbers.dmq1),
    qi=to_bytes(numbers.iqmp),
)
assert keys.import_key("own", own).key.n == own.n
print("imported")

second = keys.rotate_key("rsa")
assert keys.get_key("rsa").id == second.id and keys.get_key("rsa", first.properties.version).id == first.id
assert {one.version for one in keys.list_properties_of_key_versions("rsa")} == {first.properties.version, second.properties.version}
assert sorted(one.name for one in keys.list_properties_of_keys(max_page_size=2)) == ["ec", "hsm", "oct", "own", "rsa"]
action = KeyRotationLifetimeAction(KeyRotationPolicyAction.rotate, time_after_create="P90D")
policy = keys.update_key_rotation_policy("rsa", KeyRotationPolicy(), expires_in="P2Y", lifetime_actions=[action])
assert policy.expires_in == "P2Y" and keys.get_key_rotation_policy("rsa").lifetime_actions[0].time_after_create == "P90D"
print("rotated")

use = CryptographyClient(second, credential)
wrapped = use.wrap_key(KeyWrapAlgorithm.rsa_oaep_256, b"k" * 32)
assert use.unwrap_key(KeyWrapAlgorithm.rsa_oaep_256, wrapped.encrypted_key).key == b"k" * 32
assert use.decrypt(EncryptionAlgorithm.rsa_oaep_256, use.encrypt(EncryptionAlgorithm.rsa_oaep_256, b"text").ciphertext).plaintext == b"text"
signature = CryptographyClient(keys.get_key("ec"), credential).sign(SignatureAlgorithm.es256, b"d" * 32).signature
assert CryptographyClient(keys.get_key("ec"), credential).verify(SignatureAlgorithm.es256, b"d" * 32, signature).is_valid
sealed = CryptographyClient(keys.get_key("oct"), credential).encrypt(EncryptionAlgorithm.a256_gcm, b"text", additional_authenticated_data=b"aad")
opened = CryptographyClient(keys.get_key("oct"), credential).decrypt(
    EncryptionAlgorithm.a256_gcm, sealed.ciphertext, iv=sealed.iv, authentication_tag=sealed.tag, additional_authenticated_data=b"aad"
)
assert opened.plaintext == b"text" and len(keys.get_random_bytes(32)) == 32
print("used")

keys.update_key_properties("rsa", first.properties.version, enabled=False)
old = CryptographyClient(first.id, credential)
assert "disabled" in refused(HttpResponseError, lambda: old.wrap_key(KeyWrapAlgorithm.rsa_oaep_256, b"k" * 32))
keys.update_key_properties("rsa", first.properties.version, enabled=True)
updated = keys.update_key_properties("rsa", expires_on=datetime(2040, 1, 1, tzinfo=timezone.utc))
assert updated.properties.expires_on == datetime(2040, 1, 1, tzinfo=timezone.utc)
print("disabled and enabled")

backup = keys.backup_key("rsa")
deleted = keys.begin_delete_key("rsa").result()
assert deleted.recovery_id and [one.name for one in keys.list_deleted_keys()] == ["rsa"]
refused(ResourceNotFoundError, lambda: keys.get_key("rsa"))
refused(ResourceExistsError, lambda: keys.create_rsa_key("rsa"))
assert keys.begin_recover_deleted_key("rsa").result().id == second.id
keys.begin_delete_key("rsa").wait()
keys.purge_deleted_key("rsa")
assert list(keys.list_deleted_keys()) == []
assert keys.restore_key_backup(backup).id == second.id
print("deleted, recovered, purged, restored")
