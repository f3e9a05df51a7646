"""The key ring: what it opens, what it refuses, and what it says then."""

from __future__ import annotations

import base64
import stat
from pathlib import Path

import pytest

from trigger_core.errors import EncryptionError
from trigger_platform.key_file import KeyFile
from trigger_platform.key_ring import Key, KeyRing, fresh_key, key_of, parse_keys

OLD = Key("k1", b"1" * 32)
NEW = Key("k2", b"2" * 32)
PLACE = "environment/a/variable/TOKEN"


def test_a_sealed_value_names_its_key_and_hides_its_text() -> None:
    """Two of one text differ."""
    ring = KeyRing((OLD,))
    one, other = ring.seal("a secret text", PLACE), ring.seal("a secret text", PLACE)

    assert key_of(one) == "k1"
    assert one != other
    assert "secret" not in one
    assert ring.open(one, PLACE) == ring.open(other, PLACE) == "a secret text"


@pytest.mark.parametrize(
    "place", ["environment/b/variable/TOKEN", "environment/a/variable/OTHER", ""]
)
def test_a_value_opens_in_its_own_place_alone(place: str) -> None:
    """A row's value cannot be moved to another row."""
    ring = KeyRing((OLD,))
    with pytest.raises(EncryptionError) as refused:
        ring.open(ring.seal("text", PLACE), place)

    assert refused.value.code == "SEALED_VALUE_DAMAGED"


def test_a_value_that_was_altered_does_not_open() -> None:
    """Not by one bit, anywhere."""
    ring = KeyRing((OLD,))
    form, key_id, body = ring.seal("text", PLACE).split(".")
    raw = bytearray(base64.urlsafe_b64decode(body))
    for position in range(len(raw)):
        raw[position] ^= 1
        altered = f"{form}.{key_id}.{base64.urlsafe_b64encode(bytes(raw)).decode()}"
        with pytest.raises(EncryptionError):
            ring.open(altered, PLACE)
        raw[position] ^= 1
    assert ring.open(f"{form}.{key_id}.{body}", PLACE) == "text"


@pytest.mark.parametrize("sealed", ["", "plain text", "s1.k1", "s1.k1.###", "s2.k1.AAAA", "s1..AA"])
def test_what_is_no_sealed_value_is_refused(sealed: str) -> None:
    """With the same error."""
    with pytest.raises(EncryptionError) as refused:
        KeyRing((OLD,)).open(sealed, PLACE)

    assert refused.value.code == "SEALED_VALUE_DAMAGED"


def test_the_first_key_seals_and_every_key_opens() -> None:
    """A newer key comes before the older ones."""
    sealed = KeyRing((OLD,)).seal("text", PLACE)
    both = KeyRing((NEW, OLD))

    assert both.open(sealed, PLACE) == "text"
    assert key_of(both.seal("text", PLACE)) == "k2"


def test_a_key_that_is_not_there_is_named() -> None:
    """With those that are."""
    sealed = KeyRing((OLD,)).seal("text", PLACE)
    with pytest.raises(EncryptionError) as refused:
        KeyRing((NEW,)).open(sealed, PLACE)

    assert refused.value.code == "ENCRYPTION_KEY_UNKNOWN"
    assert "k1" in refused.value.what
    assert "k2" in str(refused.value.because)


def test_another_key_of_the_same_name_does_not_open() -> None:
    """It says which was tried."""
    sealed = KeyRing((OLD,)).seal("text", PLACE)
    with pytest.raises(EncryptionError, match="cannot be opened") as refused:
        KeyRing((Key("k1", b"3" * 32),)).open(sealed, PLACE)

    assert "k1" in str(refused.value.because)


def test_without_a_key_nothing_is_sealed() -> None:
    """Rather than kept in plain text."""
    with pytest.raises(EncryptionError) as refused:
        KeyRing().seal("text", PLACE)

    assert refused.value.code == "ENCRYPTION_KEY_MISSING"


@pytest.mark.parametrize(
    "spelled",
    [
        base64.b64encode(b"\xfb" * 32).decode(),
        base64.urlsafe_b64encode(b"\xfb" * 32).decode(),
        base64.urlsafe_b64encode(b"\xfb" * 32).decode().rstrip("="),
        "fb" * 32,
        "FB" * 32,
    ],
)
def test_a_key_is_base64_or_hexadecimal(spelled: str) -> None:
    """Its name, when it has none, is the same however it is spelled."""
    [plain] = parse_keys(spelled, at="")
    [named] = parse_keys(f"k9:{spelled}", at="")

    assert plain.secret == named.secret == b"\xfb" * 32
    assert plain.id == parse_keys("fb" * 32, at="")[0].id
    assert named.id == "k9"


def test_several_keys_are_given_newest_first() -> None:
    """With commas or on lines of their own."""
    keys = parse_keys(f"k2:{'02' * 32}, k1:{'01' * 32}\n{'00' * 32}\n", at="")

    assert [key.id for key in keys[:2]] == ["k2", "k1"]
    assert len(keys) == 3
    assert parse_keys(" ", at="") == ()


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ("hunter2hunter2", "32 bytes"),
        ("k1:" + "zz" * 32, "neither base64 nor hexadecimal"),
        ("k1:", "32 bytes"),
        ("a/b:" + "00" * 32, "an id has"),
        (f"k1:{'00' * 32},k1:{'01' * 32}", "same id"),
    ],
)
def test_a_malformed_key_is_refused_without_being_repeated(text: str, because: str) -> None:
    """The error says what is wrong and where it stands."""
    with pytest.raises(EncryptionError) as refused:
        parse_keys(text, at="TRIGGER_ENCRYPTION_KEY")

    assert refused.value.code == "ENCRYPTION_KEY_MALFORMED"
    assert because in str(refused.value)
    assert "TRIGGER_ENCRYPTION_KEY" in str(refused.value)
    assert text not in str(refused.value)


def test_a_key_is_not_shown_with_its_ring_or_itself() -> None:
    """In a traceback or a log."""
    key = fresh_key()

    assert repr(key) == f"Key(id={key.id!r})"


def test_a_key_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    """It is made once; a second process finds the first one's key."""
    file = KeyFile(tmp_path / "secret.key")
    file.create()
    made = file.read()
    file.create()

    assert file.read() == made
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["secret.key"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    """With what to do about it."""
    file = KeyFile(tmp_path / "secret.key")
    file.create()
    file.path.chmod(mode)
    with pytest.raises(EncryptionError) as refused:
        file.ring()

    assert refused.value.code == "ENCRYPTION_KEY_EXPOSED"
    assert f"chmod 600 {file.path}" in str(refused.value)


def test_a_ring_follows_its_file(tmp_path: Path) -> None:
    """A key that is put before the others seals from then on; one that is unknown is looked for."""
    file = KeyFile(tmp_path / "secret.key")
    file.create()
    ring, reader = file.ring(), file.ring()
    before = ring.seal("before", PLACE)
    file.add(NEW)
    after = ring.seal("after", PLACE)

    assert key_of(after) == "k2"
    assert reader.open(after, PLACE) == "after"
    assert ring.open(before, PLACE) == "before"


def test_a_key_file_that_is_gone_is_an_error(tmp_path: Path) -> None:
    """A value sealed with a key that is nowhere could not be read again."""
    file = KeyFile(tmp_path / "secret.key")
    file.create()
    ring = file.ring()
    file.path.unlink()
    with pytest.raises(EncryptionError) as refused:
        ring.seal("text", PLACE)

    assert refused.value.code == "ENCRYPTION_KEY_MISSING"
