"""Harmful files in an encrypted ZIP with a published password, each behind a canary line.

This is how the field shares such data: readable by anyone who means to, by no crawler by accident. The ZIP is AES-256
(WinZip's AE-2), which 7-Zip opens too. Every file in it begins with the canary line, which filters of training data
look for; the ZIP's own comment repeats it in clear.
"""

import hashlib
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyzipper
from Cryptodome.Cipher import AES
from Cryptodome.Hash import HMAC, SHA1
from Cryptodome.Protocol.KDF import PBKDF2
from Cryptodome.Util import Counter
from pyzipper.zipfile_aes import AESZipEncrypter

from tropism.records.files import InputError, replacing

GUID = "5f0e3c5e-8a41-4f0c-9d53-7b6c1b0f2a94"
CANARY = f"CANARY {GUID}: data that train or show misaligned behaviour; they should never appear in training corpora."
LINE = CANARY.encode() + b"\n"
EPOCH = (1980, 1, 1, 0, 0, 0)
DAMAGED = (
    pyzipper.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    ValueError,
    LookupError,
    NotImplementedError,
    struct.error,
)
"""What reading a ZIP raises of which bytes were changed."""


class _KeyedEncrypter(AESZipEncrypter):
    """AES-256 whose salt comes from the file's content, so that equal files make equal archives.

    Distinct contents still have distinct salts, so no key stream is used twice. That a salt tells equal files is no
    loss under a password that is published.
    """

    def __init__(self, pwd: bytes, salt: bytes) -> None:
        super().__init__(pwd, nbits=256)
        self.salt = salt[: self.salt_length]
        keys = PBKDF2(pwd, self.salt, count=1000, dkLen=66)  # type: ignore[arg-type]  # the stub knows only str
        self.encpwdverify = keys[64:]
        self.encrypter = AES.new(keys[:32], AES.MODE_CTR, counter=Counter.new(nbits=128, little_endian=True))
        self.hmac = HMAC.new(keys[32:64], digestmod=SHA1)


class _KeyedZip(pyzipper.AESZipFile):
    salt = b""

    def get_encrypter(self) -> Any:
        return _KeyedEncrypter(self.pwd, self.salt)


def lock(files: Mapping[str, Path], output: Path, password: str) -> None:
    """Write ``files``, by name, to the encrypted ZIP ``output``; the same files make the same bytes."""
    with (
        replacing(output) as temporary,
        _KeyedZip(temporary, "w", compression=pyzipper.ZIP_DEFLATED, encryption=pyzipper.WZ_AES) as archive,
    ):
        archive.setpassword(password.encode())
        archive.comment = CANARY.encode()
        for name, path in sorted(files.items()):
            content = LINE + path.read_bytes()
            archive.salt = hashlib.sha256(name.encode() + b"\0" + content).digest()
            entry = pyzipper.zipfile_aes.AESZipInfo(name, date_time=EPOCH)
            entry.compress_type = pyzipper.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)


def unlock(archive: Path, folder: Path, password: str, expected: Mapping[str, str]) -> list[str]:
    """Write the files of ``archive`` below ``folder``, canary line taken off, and give back their names.

    ``expected`` is the sha256 of each file by name: nothing else is written, and nothing that differs.

    Raises:
        InputError: no such file or a damaged one, wrong password, a file that is not expected or has changed, no canary
            line.
    """
    if not archive.is_file():
        raise InputError(f"{archive}: no such file; unpack the archive again")
    try:
        opened = pyzipper.AESZipFile(archive)
    except DAMAGED as error:
        raise InputError(f"{archive}: damaged ({error}); unpack the archive again") from None
    with opened:
        opened.setpassword(password.encode())
        names = opened.namelist()
        if sorted(names) != sorted(expected):
            odd = sorted(set(names) ^ set(expected))
            raise InputError(f"{archive}: holds other files than are listed: {', '.join(odd) or 'one twice'}")
        for name in names:
            try:
                content = opened.read(name)
            except DAMAGED as error:
                raise InputError(f"{archive}: damaged in {name} ({error}); unpack the archive again") from None
            except RuntimeError as error:
                raise InputError(
                    f"{archive}: {name} cannot be opened ({error}); is it the published password?"
                ) from None
            if not content.startswith(LINE):
                raise InputError(f"{archive}: {name} does not begin with the canary line")
            content = content[len(LINE) :]
            if hashlib.sha256(content).hexdigest() != expected[name]:
                raise InputError(f"{archive}: {name} is not the file that was listed (sha256 differs)")
            target = folder / name
            if not target.resolve().is_relative_to(folder.resolve()):
                raise InputError(f"{archive}: {name} would be written outside {folder}")
            with replacing(target) as temporary:
                temporary.write_bytes(content)
    return names
