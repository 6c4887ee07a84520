#!/usr/bin/env python3
"""Opens a sealed blob of OwnKey, version 1. Written from docs/sealed-blob.md alone; needs `pip install cryptography`.

  open_sealed_blob.py FILE --key HEX --account ID --kind KIND --blob UUID --generation N [--start N] [--end N] > plaintext
  open_sealed_blob.py FILE ... --metadata RECORD_HEX                                                     > metadata
  open_sealed_blob.py FILE ... --key-from key.hex      (keeps the key out of the list of processes; - is standard input)
"""

import argparse
import hashlib
import hmac
import os
import struct
import sys
import uuid

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

HEADER, CHUNK, TAG = 96, 65536, 16
SEALED = CHUNK + TAG
FIXED = b"OwnKeySealed" + bytes([1, 1, 16, 0])


class SealedBlobError(Exception):
    """The blob does not open; the message says why."""


def encode(*parts):
    """The canonical encoding of a list of texts, integers and bytes."""
    out = b""
    for part in parts:
        if isinstance(part, str):
            kind, data = 1, part.encode("utf-8")
        elif isinstance(part, int):
            kind, data = 2, struct.pack(">Q", part)
        else:
            kind, data = 3, part
        out += struct.pack(">BI", kind, len(data)) + data
    return out


class SealedBlob:
    """An opened blob: its header, key commitment and last chunk have been verified."""

    def __init__(self, file, key, account, kind, blob_id, generation):
        self.file = file
        body = file.seek(0, os.SEEK_END) - HEADER
        self.chunks = -(-body // SEALED)
        last = body - (self.chunks - 1) * SEALED
        if body < TAG or last < TAG + (self.chunks > 1):
            raise SealedBlobError("no sealed blob has this size: the file was cut")
        self.size = body - self.chunks * TAG
        file.seek(0)
        self.header = file.read(HEADER)
        if self.header[:16] != FIXED:
            raise SealedBlobError("not a sealed blob of version 1")
        if self.header[16:32] != blob_id.bytes:
            raise SealedBlobError("the header names another blob")
        digest = hashlib.sha256(encode(account, kind, blob_id.bytes, generation)).digest()
        info = encode("ownkey sealed blob", self.header[:64], digest)
        okm = HKDF(SHA256(), 96, salt=self.header[32:64], info=info).derive(key)
        if not hmac.compare_digest(okm[:32], self.header[64:]):
            raise SealedBlobError("wrong key or context, or an altered header")
        self.content, self.metadata_key = AESGCM(okm[32:64]), AESGCM(okm[64:])
        self.last = self._open(self.chunks - 1)

    def _open(self, index):
        last = index == self.chunks - 1
        self.file.seek(HEADER + index * SEALED)
        nonce = bytes(7) + struct.pack(">I", index) + bytes([last])
        try:
            return self.content.decrypt(nonce, self.file.read(SEALED), None)
        except InvalidTag:
            raise SealedBlobError(f"chunk {index} does not open: it was altered, moved or cut") from None

    def read(self, start=0, end=None):
        """Yields the plaintext from start to end (exclusive), chunk by chunk, each after its tag passed."""
        end = self.size if end is None else end
        if not 0 <= start <= end <= self.size:
            raise SealedBlobError(f"the range does not lie in the blob's {self.size} bytes")
        for index in range(start // CHUNK, -(-end // CHUNK) if end > start else 0):
            plaintext = self.last if index == self.chunks - 1 else self._open(index)
            yield plaintext[max(0, start - index * CHUNK) : end - index * CHUNK]

    def open_metadata(self, record):
        """The plaintext of the metadata record that belongs to this blob."""
        if len(record) < 1 + 12 + TAG or record[0] != 1:
            raise SealedBlobError("not a metadata record of version 1")
        try:
            return self.metadata_key.decrypt(record[1:13], record[13:], encode("ownkey metadata", 1, self.header))
        except InvalidTag:
            raise SealedBlobError("the metadata record does not open") from None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    key = parser.add_mutually_exclusive_group(required=True)
    key.add_argument("--key", help="the blob key, 64 hex digits")
    key.add_argument("--key-from", type=argparse.FileType("r"), help="a file that holds it")
    parser.add_argument("--account", required=True)
    parser.add_argument("--kind", required=True)
    parser.add_argument("--blob", required=True, type=uuid.UUID)
    parser.add_argument("--generation", required=True, type=int)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--end", type=int)
    parser.add_argument("--metadata", type=bytes.fromhex, help="a sealed metadata record in hex, to open instead of the data")
    args = parser.parse_args()
    try:
        blob_key = bytes.fromhex(args.key or args.key_from.read().strip())
    except ValueError:
        parser.error("the key must be hex")
    if len(blob_key) != 32:
        parser.error("the key must have 32 bytes: 64 hex digits")
    try:
        with open(args.file, "rb") as file:
            blob = SealedBlob(file, blob_key, args.account, args.kind, args.blob, args.generation)
            parts = [blob.open_metadata(args.metadata)] if args.metadata else blob.read(args.start, args.end)
            for part in parts:
                sys.stdout.buffer.write(part)
    except (SealedBlobError, OSError) as error:
        sys.exit(f"{args.file}: {error}")


if __name__ == "__main__":
    main()
