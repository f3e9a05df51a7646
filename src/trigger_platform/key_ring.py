"""The key ring: values are sealed with its first key and opened with whichever key sealed them.

A sealed value is ``s1.<key id>.<nonce, cipher text and tag in base64url>``. It opens in its own place alone:
the place (which environment, which variable) is authenticated with it, so a copy elsewhere stays shut.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from trigger_core.errors import EncryptionError
from trigger_core.redaction import Hidden

__all__ = ["Key", "KeyRing", "fresh_key", "is_sealed", "key_of", "parse_keys", "span_of"]

_FORMAT = "s1"
_NONCE_BYTES = 12
_TAG_BYTES = 16
_KEY_BYTES = 32
_ID = re.compile(r"[A-Za-z0-9_-]{1,32}\Z")
_MAKE = "make one with: openssl rand -base64 32"


@dataclass(frozen=True, slots=True)
class Key:
    """A key of AES-256, and the name by which sealed values know it."""

    id: str
    secret: bytes = field(repr=False)


def fresh_key() -> Key:
    """Return a new key."""
    return _named(os.urandom(_KEY_BYTES))


def parse_keys(text: str, *, at: str) -> tuple[Key, ...]:
    """Read keys, newest first, separated by commas or line ends: ``id:key``, or ``key`` alone.

    A key is 32 bytes in base64 or hexadecimal. One without an id is named after its fingerprint.

    Raises:
        EncryptionError: one of them cannot be read; the error does not repeat it.
    """
    found = tuple(_parsed(part, at) for part in re.split(r"[,\s]+", text) if part)
    if len({key.id for key in found}) != len(found):
        raise _malformed(at, "two keys have the same id")
    return found


def key_of(sealed: str) -> str:
    """Return the id of the key that sealed a value."""
    return _parts(sealed)[0]


def is_sealed(text: str) -> bool:
    """Tell whether a text is a sealed value."""
    return text.startswith(f"{_FORMAT}.")


def span_of(key_id: str) -> tuple[str, str]:
    """Return what everything that a key has sealed sorts from, and what it sorts before."""
    return f"{_FORMAT}.{key_id}.", f"{_FORMAT}.{key_id}/"


class KeyRing:
    """Seals and opens; what holds the keys may be asked again, because they change while servers run.

    ``hidden`` is what this process has opened and must not write about.
    """

    def __init__(
        self, keys: Sequence[Key] = (), renew: Callable[[], Sequence[Key]] | None = None
    ) -> None:
        self._renew = renew
        self._keys: tuple[Key, ...] = ()
        self._ciphers: dict[str, AESGCM] = {}
        self._secrets: dict[str, bytes] = {}
        self.hidden = Hidden()
        self._take(keys)

    @property
    def current(self) -> str:
        """The id of the key that seals.

        Raises:
            EncryptionError: there is no key.
        """
        self._look()
        if not self._keys:
            raise EncryptionError(
                "there is no key to encrypt with", code="ENCRYPTION_KEY_MISSING", hint=_MAKE
            )
        return self._keys[0].id

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the keys, newest first."""
        return tuple(key.id for key in self._keys)

    def seal(self, text: str, place: str, *, hide: bool = False) -> str:
        """Encrypt a text for its place; with ``hide`` this process keeps it out of its log from now on.

        Raises:
            EncryptionError: there is no key.
        """
        key_id = self.current
        if hide:
            self.hidden.add(text)
        nonce = os.urandom(_NONCE_BYTES)
        body = nonce + self._ciphers[key_id].encrypt(nonce, text.encode(), place.encode())
        return span_of(key_id)[0] + urlsafe_b64encode(body).decode()

    def open(self, sealed: str, place: str, *, hide: bool = False) -> str:
        """Decrypt a text in its place; with ``hide`` this process keeps it out of its log from now on.

        Raises:
            EncryptionError: its key is not on the ring, or it was altered or belongs elsewhere.
        """
        key_id, body = _parts(sealed)
        try:
            clear = self._cipher(key_id).decrypt(
                body[:_NONCE_BYTES], body[_NONCE_BYTES:], place.encode()
            )
        except InvalidTag:
            raise _damaged(f"it does not open with the key {key_id} in {place}") from None
        text = clear.decode()
        if hide:
            self.hidden.add(text)
        return text

    def derived(self, key_id: str, purpose: str) -> bytes:
        """Return a key for a purpose of its own, such as signing, that follows from a key of the ring.

        Raises:
            EncryptionError: the key is not on the ring.
        """
        self._cipher(key_id)
        return hmac.digest(self._secrets[key_id], purpose.encode(), "sha256")

    def _cipher(self, key_id: str) -> AESGCM:
        if key_id not in self._ciphers:
            self._look()
        found = self._ciphers.get(key_id)
        if found is None:
            given = ", ".join(self._ciphers) or "none"
            raise EncryptionError(
                f"the key {key_id} is not known",
                code="ENCRYPTION_KEY_UNKNOWN",
                because=f"a value was encrypted with it; the keys at hand are: {given}",
                hint="give the key that encrypted this database, after the newer one if there is one",
            )
        return found

    def _look(self) -> None:
        if self._renew is not None:
            self._take(self._renew())

    def _take(self, keys: Sequence[Key]) -> None:
        """Use these from now on; who held a value of a key that is dropped can open it to the end."""
        if self._keys != tuple(keys):
            self._ciphers |= {key.id: AESGCM(key.secret) for key in keys}
            self._secrets |= {key.id: key.secret for key in keys}
            self._keys = tuple(keys)


def _parsed(text: str, at: str) -> Key:
    name, colon, material = text.rpartition(":")
    secret = _bytes(material, at)
    if len(secret) != _KEY_BYTES:
        raise _malformed(at, f"a key has {_KEY_BYTES} bytes, this one has {len(secret)}")
    if not colon:
        return _named(secret)
    if not _ID.match(name):
        raise _malformed(at, "an id has up to 32 letters, digits, dashes and underscores")
    return Key(name, secret)


def _bytes(material: str, at: str) -> bytes:
    try:
        if len(material) == 2 * _KEY_BYTES:
            return bytes.fromhex(material)
        standard = material.rstrip("=").replace("+", "-").replace("/", "_")
        return urlsafe_b64decode(standard + "=" * (-len(standard) % 4))
    except ValueError:
        raise _malformed(at, "it is neither base64 nor hexadecimal") from None


def _named(secret: bytes) -> Key:
    return Key(hashlib.sha256(b"key id\0" + secret).hexdigest()[:8], secret)


def _parts(sealed: str) -> tuple[str, bytes]:
    form, _, rest = sealed.partition(".")
    key_id, _, body = rest.partition(".")
    if form != _FORMAT or not _ID.match(key_id):
        raise _damaged("it has another form")
    try:
        raw = urlsafe_b64decode(body)
    except ValueError:
        raise _damaged("it is no base64") from None
    if len(raw) < _NONCE_BYTES + _TAG_BYTES:
        raise _damaged("it is too short")
    return key_id, raw


def _malformed(at: str, because: str) -> EncryptionError:
    return EncryptionError(
        "an encryption key cannot be read",
        code="ENCRYPTION_KEY_MALFORMED",
        because=because,
        at=at,
        hint=_MAKE,
    )


def _damaged(because: str) -> EncryptionError:
    return EncryptionError(
        "an encrypted value cannot be opened", code="SEALED_VALUE_DAMAGED", because=because
    )
