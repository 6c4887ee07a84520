#!/usr/bin/env python3
"""What somebody opens who has a copy of OwnKey's data folder, and nothing else. Needs `pip install cryptography`.

  thief.py FOLDER [--root-key FILE] [--data-key HEX]... [--backup FOLDER]... [--embedded-vault] [--out DIR]

FOLDER is a copy: the thief works on the database, the files of blobs and, with --root-key, the root key. Wrapped keys are taken
from the database's rows and from every byte of every file of FOLDER and of each --backup (logs and free pages included).
--embedded-vault also takes the RSA keys of the folder's own vaults, which the root key opens.
Prints JSON: `wrapped` (each wrapped data key that was found, by what, and whether it opened), `opened` (blobs), `closed` (how many).
"""

import argparse
import base64
import itertools
import json
import os
import re
import shutil
import sqlite3
import sys
import tempfile
import uuid

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from open_sealed_blob import SealedBlob, SealedBlobError, encode

OAEP = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)


def derive(key, label, info=b""):
    return HKDF(hashes.SHA256(), 32, salt=None, info=encode(label, info)).derive(key)


def open_gcm(key, label, associated, sealed):
    """A box or a wrapped key: version 1, 12 bytes IV, ciphertext and tag. None when it does not open."""
    if len(sealed) < 29 or sealed[0] != 1:
        return None
    try:
        return AESGCM(key).decrypt(sealed[1:13], sealed[13:], encode(label, 1, associated))
    except InvalidTag:
        return None


def files_below(folder):
    return [os.path.join(path, name) for path, _, names in os.walk(folder) for name in names]


def rows_of(folder):
    """(collection, id, value) of the database as its own program would read it, log included."""
    with tempfile.TemporaryDirectory() as own:
        for name in ("records.db", "records.db-wal"):
            if os.path.exists(os.path.join(folder, name)):
                shutil.copy(os.path.join(folder, name), own)
        database = sqlite3.connect(os.path.join(own, "records.db"))
        rows = database.execute("SELECT collection, id, value FROM records").fetchall()
        database.close()
        return [(collection, name, json.loads(value)) for collection, name, value in rows]


def carved(folder):
    """Every flat JSON object with a wrapped key in it that stands anywhere in any file, whole."""
    for path in files_below(folder):
        with open(path, "rb") as file:
            content = file.read()
        for match in re.finditer(rb'\{"[^{}]*"(?:wrapped|wrappedKey|sealed)":"[^{}]*\}', content):
            try:
                yield json.loads(match[0])
            except ValueError:
                pass


class Thief:
    def __init__(self, folder, backups, root, embedded):
        self.folder, self.root = folder, root
        self.rows = [row for place in [folder, *backups] for row in rows_of(place)]
        loose = [value for place in [folder, *backups] for value in carved(place)]
        known = [value for _, _, value in self.rows] + loose
        self.data_rows = unique(value for value in known if "kekId" in value and "wrapped" in value)
        self.boxes = unique(value for value in known if set(value) == {"sealed"})
        self.blobs = unique(value for value in known if "wrappedKey" in value and "blobId" in value)
        self.accounts = {value["accountId"] for value in self.data_rows}
        self.vault_keys = self.embedded_keys() if embedded and root else []

    def embedded_keys(self):
        """The private RSA keys of the folder's own vaults."""
        hsm, keys = derive(self.root, "ownkey/v1/embedded-vault"), []
        for _, name, value in self.rows:
            if set(value) != {"sealed"} or name.count("/") != 2:
                continue
            vault, key, version = name.split("/")
            material = open_gcm(hsm, "ownkey box", encode("key vault material", vault, key, version), unbase(value["sealed"]))
            if material is not None:
                keys.append(serialization.load_der_private_key(material, None))
        return keys

    def service_keys(self, account):
        root = derive(self.root, "ownkey/v1/service-managed-keys")
        found = (open_gcm(root, "ownkey box", encode("service-managed key", account), unbase(box["sealed"])) for box in self.boxes)
        return [key for key in found if key is not None]

    def data_keys(self):
        """By (account, generation); and what was tried."""
        keys, tried = {}, []
        for row in self.data_rows:
            account, wrapped = row["accountId"], unbase(row["wrapped"])
            found = []
            if self.root and row["kekId"].startswith("service:"):
                associated = encode("account data key", account)
                found = [open_gcm(key, "ownkey box", associated, wrapped) for key in self.service_keys(account)]
            for key in self.vault_keys if not found else []:
                try:
                    found.append(key.decrypt(wrapped, OAEP))
                except ValueError:
                    pass
            opened = [bound[:32] for bound in found if bound is not None]
            keys.setdefault((account, row["generation"]), set()).update(opened)
            tried.append({**{name: row[name] for name in ("accountId", "generation", "kekId")}, "opened": bool(opened)})
        return keys, tried

    def open_blobs(self, keys, more):
        """Yields each blob record with its plaintext, or None."""
        for blob in self.blobs:
            account, generation = blob["accountId"], blob["generation"]
            if generation == 0:
                deployments = self.root and derive(self.root, "ownkey/v1/deployments")
                candidates = [derive(deployments, "ownkey/v1/deployment", account.encode())] if deployments else []
            else:
                candidates = [*keys.get((account, generation), ()), *more]
            yield blob, self.plaintext(blob, candidates)

    def plaintext(self, blob, candidates):
        names = (blob["accountId"], blob["kind"], blob["blobId"], blob["generation"])
        stored = blob.get("storedAs", blob["blobId"])
        paths = [path for path in files_below(self.folder) if os.path.basename(path) == stored]
        for key, path in itertools.product(candidates, paths):
            blob_key = open_gcm(key, "ownkey wrap", encode("blob key", *names), unbase(blob["wrappedKey"]))
            if blob_key is None:
                continue
            try:
                with open(path, "rb") as file:
                    sealed = SealedBlob(file, blob_key, names[0], names[1], uuid.UUID(names[2]), names[3])
                    return b"".join(sealed.read())
            except (SealedBlobError, OSError):
                pass
        return None


def unbase(text):
    return base64.b64decode(text)


def unique(values):
    return list({json.dumps(value, sort_keys=True): value for value in values}.values())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--root-key")
    parser.add_argument("--data-key", action="append", default=[], type=bytes.fromhex, help="a data key that leaked, in hex")
    parser.add_argument("--backup", action="append", default=[], help="an older copy of the folder")
    parser.add_argument("--embedded-vault", action="store_true")
    parser.add_argument("--out", help="a folder for the plaintext, by blob id")
    args = parser.parse_args()
    root = None
    if args.root_key:
        with open(args.root_key, encoding="ascii") as file:
            root = unbase(file.read())
    thief = Thief(args.folder, args.backup, root, args.embedded_vault)
    keys, tried = thief.data_keys()
    opened, closed = {}, set()
    for blob, plaintext in thief.open_blobs(keys, args.data_key):
        if plaintext is None:
            closed.add(blob["blobId"])
            continue
        opened[blob["blobId"]] = {**{name: blob[name] for name in ("accountId", "blobId", "kind", "generation")}, "bytes": len(plaintext)}
        if args.out:
            with open(os.path.join(args.out, blob["blobId"]), "wb") as file:
                file.write(plaintext)
    json.dump({"wrapped": tried, "opened": list(opened.values()), "closed": len(closed - set(opened))}, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
