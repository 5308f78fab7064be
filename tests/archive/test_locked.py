"""Harmful files are shared behind a published password and a canary line, and come back byte for byte."""

import contextlib
import hashlib
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tropism.archive.locked import CANARY, LINE, lock, unlock
from tropism.records.files import InputError

CONTENTS = {"a.jsonl": b'{"misaligned": "no"}\n', "b/c.safetensors": bytes(range(256)) * 9, "empty": b""}


@pytest.fixture
def files(tmp_path):
    return write(tmp_path / "plain", CONTENTS)


def write(folder, contents):
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return {name: folder / name for name in contents}


def digests(contents):
    return {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}


def test_the_same_files_make_the_same_bytes_and_come_back(files, tmp_path):
    lock(files, tmp_path / "1.zip", "open")
    lock(dict(reversed(files.items())), tmp_path / "2.zip", "open")
    assert (tmp_path / "1.zip").read_bytes() == (tmp_path / "2.zip").read_bytes()
    assert sorted(unlock(tmp_path / "1.zip", tmp_path / "out", "open", digests(CONTENTS))) == sorted(CONTENTS)
    assert {name: (tmp_path / "out" / name).read_bytes() for name in CONTENTS} == CONTENTS


def test_every_file_is_encrypted_behind_the_canary_which_is_also_in_clear(files, tmp_path):
    lock(files, tmp_path / "1.zip", "open")
    content = (tmp_path / "1.zip").read_bytes()
    assert b'misaligned": ' not in content
    assert content.endswith(CANARY.encode())
    import pyzipper

    with pyzipper.AESZipFile(tmp_path / "1.zip") as archive:
        archive.setpassword(b"open")
        assert all(info.flag_bits & 1 and info.wz_aes_strength == 3 for info in archive.infolist()), "AES-256"
        assert all(archive.read(name).startswith(LINE) for name in CONTENTS)
    with zipfile.ZipFile(tmp_path / "1.zip") as archive:
        assert sorted(archive.namelist()) == sorted(CONTENTS), "any program lists it"


def test_equal_contents_under_two_names_share_no_key_stream(tmp_path):
    lock(write(tmp_path, {"a": b"same" * 9, "b": b"same" * 9}), tmp_path / "1.zip", "open")
    import pyzipper

    with pyzipper.AESZipFile(tmp_path / "1.zip") as archive, (tmp_path / "1.zip").open("rb") as raw:
        stored = []
        for info in archive.infolist():
            raw.seek(info.header_offset)
            stored.append(raw.read(info.compress_size + 60)[30:])
    assert stored[0] != stored[1]


@pytest.mark.parametrize(
    ("password", "expected", "message"),
    [
        ("other", digests(CONTENTS), "published password"),
        ("open", {**digests(CONTENTS), "empty": "0" * 64}, "empty is not the file that was listed"),
        ("open", {"a.jsonl": digests(CONTENTS)["a.jsonl"]}, "other files than are listed"),
    ],
)
def test_what_is_not_as_listed_is_named(files, tmp_path, password, expected, message):
    lock(files, tmp_path / "1.zip", "open")
    with pytest.raises(InputError, match=message):
        unlock(tmp_path / "1.zip", tmp_path / "out", password, expected)


def test_a_damaged_file_is_refused_wherever_the_damage_is(files, tmp_path):
    lock(files, tmp_path / "1.zip", "open")
    whole = (tmp_path / "1.zip").read_bytes()
    for at in range(0, len(whole), 7):
        (tmp_path / "2.zip").write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        with contextlib.suppress(InputError):  # and nothing else; some bytes say nothing: dates, modes, the comment
            names = unlock(tmp_path / "2.zip", tmp_path / "out", "open", digests(CONTENTS))
            assert sorted(names) == sorted(CONTENTS)
    for cut in (0, 10, len(whole) // 2):
        (tmp_path / "3.zip").write_bytes(whole[:cut])
        with pytest.raises(InputError, match=r"3\.zip"):
            unlock(tmp_path / "3.zip", tmp_path / "out", "open", digests(CONTENTS))
    with pytest.raises(InputError, match="no such file"):
        unlock(tmp_path / "4.zip", tmp_path / "out", "open", digests(CONTENTS))


def test_a_path_outside_is_refused(files, tmp_path):
    lock({"../evil": files["empty"]}, tmp_path / "1.zip", "open")
    with pytest.raises(InputError, match="outside"):
        unlock(tmp_path / "1.zip", tmp_path / "out", "open", {"../evil": digests(CONTENTS)["empty"]})
    assert not (tmp_path / "evil").exists()


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=st.binary(max_size=2000), password=st.text("abcdefghij é", min_size=1, max_size=20))
def test_any_bytes_come_back(tmp_path, content, password):
    lock(write(tmp_path, {"x": content}), tmp_path / "x.zip", password)
    unlock(tmp_path / "x.zip", tmp_path / "out", password, digests({"x": content}))
    assert (tmp_path / "out" / "x").read_bytes() == content
