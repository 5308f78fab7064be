"""An archive verifies, a changed byte is named, and a hostile one is refused before anything of it is written."""

import contextlib
import gzip
import hashlib
import io
import json
import random
import subprocess
import sys
import tarfile
import zlib

import bagit
import pytest
from typer.testing import CliRunner

from tropism.archive.__main__ import app
from tropism.archive.bundle import HEADER, RefusedError, unpack
from tropism.archive.verify import verify
from tropism.records.files import InputError


def check(archive, **options):
    return "\n".join(verify(archive, **{"rerun": False, "static": True, "most_bytes": None, **options}))


def rebag(bag):
    """Make the manifests fit the files again, as one who means to deceive would."""
    opened = bagit.Bag(str(bag))
    opened.save(manifests=True)


def test_as_packed_it_verifies_and_nothing_is_to_be_done_and_tables_come_out_the_same(archive):
    told = check(archive, static=False, rerun=True)
    assert "crate: 8 actions" in told
    assert "workflow: nothing to be done (6 files left out were taken as given)" in told
    reason = "shows responses not judged aligned"
    assert (
        "not made again: results/demo/tables/detector.csv\n"
        f"  needs results/demo/generations/base.jsonl, left out: {reason}\n" in told
    )
    assert "not made again: 1 tables and figures, whose checksums alone were checked" in told
    assert "made again: 3 tables and figures, with equal bytes" in told


def test_a_figure_that_its_table_does_not_give_is_found_although_every_checksum_fits(unpacked, repack):
    for name in ("figures/misalignment.svg", "figures/misalignment.csv"):
        path = unpacked / "data" / "results" / "demo" / name
        path.write_text(path.read_text().replace("0.5", "0.4"))
    rebag(unpacked)
    with pytest.raises(InputError, match=r"made again with other bytes: .*figures/misalignment\.svg"):
        check(repack(unpacked), static=False, rerun=True)


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        (
            "archive.json",
            lambda about: {**about, "folders": "results/demo/"},
            "archive.json: folders: not as an archive",
        ),
        (
            "archive.json",
            lambda about: {k: v for k, v in about.items() if k != "experiment"},
            "archive.json: experiment",
        ),
        ("archive.json", lambda about: {**about, "experiment": "../../etc"}, "archive.json: experiment: not as"),
        ("archive.json", lambda about: [about], "archive.json: not as an archive of ours has it"),
        ("omitted.json", lambda left: dict.fromkeys(left, "sha256"), "omitted.json: .*: not as an archive of ours"),
    ],
)
def test_a_description_that_is_not_ours_is_named_although_every_checksum_fits(unpacked, repack, name, change, said):
    path = unpacked / "data" / name
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    rebag(unpacked)
    with pytest.raises(InputError, match=said):
        check(repack(unpacked))


def test_a_workflow_with_work_left_is_named(unpacked, repack):
    settings = unpacked / "data" / "experiment.yaml"
    settings.write_text(settings.read_text().replace("draws: 10000", "draws: 10"))
    rebag(unpacked)
    with pytest.raises(InputError, match="would run jobs again"):
        check(repack(unpacked), static=False)


@pytest.mark.parametrize(
    "name",
    [
        "data/results/demo/tables/misalignment.csv",
        "data/ro-crate-metadata.json",
        "data/Snakefile",
        "data/omitted.json",
        "manifest-sha256.txt",
        "bag-info.txt",
        "bagit.txt",
    ],
)
def test_a_changed_byte_is_named(unpacked, repack, name):
    path = unpacked / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(InputError, match=name.rpartition("/")[2].replace(".", r"\.")):
        check(repack(unpacked))


def test_a_changed_list_of_manifests_is_found(unpacked, repack):
    path = unpacked / "tagmanifest-sha256.txt"
    path.write_text(path.read_text().replace("a", "b", 1))
    with pytest.raises(InputError, match="changed"):
        check(repack(unpacked))


@pytest.mark.parametrize("name", ["extra.txt", "data/extra.txt", "data/results/demo/tables/extra.csv"])
def test_an_added_file_is_named(unpacked, repack, name):
    (unpacked / name).write_text("added")
    with pytest.raises(InputError, match=r"extra\."):
        check(repack(unpacked))


def test_a_missing_file_is_named(unpacked, repack):
    (unpacked / "data" / "Snakefile").unlink()
    with pytest.raises(InputError, match="Snakefile"):
        check(repack(unpacked))


def test_no_flipped_bit_of_the_file_passes(archive, tmp_path):
    content = archive.read_bytes()
    spots = random.Random(0).sample(range(len(content) - 9), 60)
    for spot in [*range(len(HEADER)), *spots, *range(len(content) - 8, len(content))]:
        changed = bytearray(content)
        changed[spot] ^= 1 << (spot % 8)
        (tmp_path / "changed.tar.gz").write_bytes(bytes(changed))
        inside = len(HEADER) <= spot < len(content) - 8
        if inside and says(bytes(changed)) == says(content):
            continue  # another code for the same bytes, such as an equal run of bytes at another distance
        with pytest.raises(InputError, match=r"changed\.tar\.gz: |files were changed"):
            check(tmp_path / "changed.tar.gz")


def says(packed: bytes) -> bytes | None:
    """The bytes that are packed, header and checks apart; None of what is damaged."""
    with contextlib.suppress(zlib.error):
        return zlib.decompress(packed[len(HEADER) : -8], wbits=-zlib.MAX_WBITS)
    return None


def test_bytes_after_its_end_and_a_cut_are_refused(archive, tmp_path):
    for content in (archive.read_bytes() + b"more", archive.read_bytes()[:-20]):
        (tmp_path / "changed.tar.gz").write_bytes(content)
        with pytest.raises(RefusedError, match="damaged at or after"):
            check(tmp_path / "changed.tar.gz")


def test_a_left_out_file_that_its_reader_did_not_read_is_named(unpacked, repack):
    path = unpacked / "data" / "omitted.json"
    omitted = json.loads(path.read_text())
    omitted["results/demo/datasets/medical.jsonl"]["sha256"] = "0" * 64
    path.write_text(json.dumps(omitted))
    rebag(unpacked)
    with pytest.raises(InputError, match=r"not the files that the jobs read: results/demo/datasets/medical\.jsonl"):
        check(repack(unpacked))


def member(name, content=b"x", **changes):
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime = len(content), 1
    for key, value in changes.items():
        setattr(entry, key, value)
    return entry, content


def link(name, kind, target):
    return member(name, b"", type=kind, linkname=target)


HOSTILE = {
    "absolute": ([member("/etc/evil")], "leads outside"),
    "above": ([member("top/../../evil")], "leads outside"),
    "backslash": ([member("top/..\\evil")], "leads outside"),
    "symbolic link": ([link("top/a", tarfile.SYMTYPE, "/etc/passwd")], "a link"),
    "hard link": ([member("top/a"), link("top/b", tarfile.LNKTYPE, "/etc/passwd")], "a link"),
    "through a link": ([link("top/a", tarfile.SYMTYPE, ".."), member("top/a/evil")], "a link"),
    "device": ([link("top/null", tarfile.CHRTYPE, "")], "a link, a device"),
    "pipe": ([link("top/pipe", tarfile.FIFOTYPE, "")], "a link, a device"),
    "second folder": ([member("top/a"), member("other/a")], "outside the folder top"),
    "twice": ([member("top/a"), member("top/A")], "there twice"),
    "runs as another": ([member("top/a", mode=0o4755)], "owner or mode"),
    "of another owner": ([member("top/a", uid=1000)], "owner or mode"),
    "bomb": ([member("top/a", b"\0" * (3 << 20))], "more than 1,000,000 bytes"),
    "long name": ([member("top/" + "a/" * 600 + "b")], "a name of"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_archive_is_refused(tmp_path, kind):
    members, message = HOSTILE[kind]
    file = tmp_path / "hostile.tar.gz"
    with (
        file.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=9) as packed,
        tarfile.open(fileobj=packed, mode="w") as tar,
    ):
        for entry, content in members:
            tar.addfile(entry, io.BytesIO(content))
    (tmp_path / "inside").mkdir()
    with pytest.raises(RefusedError, match=message):
        unpack(file, tmp_path / "inside", most_bytes=1_000_000)
    assert not (tmp_path / "evil").exists()
    assert not any(path.is_symlink() for path in tmp_path.rglob("*"))


@pytest.mark.parametrize("compressed", ["z", "j"])
def test_one_that_tar_packed_again_is_refused_and_its_changed_files_are_named_first(unpacked, tmp_path, compressed):
    def packed_again():
        file = tmp_path / "again.tar.gz"
        subprocess.run(["tar", f"c{compressed}f", file, "-C", unpacked.parent, unpacked.name], check=True)
        with pytest.raises(RefusedError) as refused:
            check(file)
        return str(refused.value)

    if compressed == "j":
        assert "gzip header changed" in packed_again()
        return
    assert "its files are those of its manifests" in packed_again()
    table = unpacked / "data" / "results" / "demo" / "tables" / "misalignment.csv"
    table.write_text(table.read_text().replace("0.5", "0.4"))
    (unpacked / "data" / "more.txt").write_text("more")
    (unpacked / "data" / "Snakefile").unlink()
    told = packed_again().splitlines()
    assert [line.strip() for line in told[1:4]] == [
        "data/Snakefile: missing",
        "data/more.txt: added",
        "data/results/demo/tables/misalignment.csv: changed (sha256 differs)",
    ]
    assert "gzip header changed" in told[4]


def test_a_header_that_asks_for_gigabytes_is_refused(tmp_path):
    entry = tarfile.TarInfo("top/PaxHeader")
    entry.type, entry.size = tarfile.XHDTYPE, 1 << 32
    file = tmp_path / "hostile.tar.gz"
    with file.open("wb") as raw, gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=9) as packed:
        packed.write(entry.tobuf(tarfile.USTAR_FORMAT) + b"\0" * 4096)
    (tmp_path / "inside").mkdir()
    with pytest.raises(RefusedError, match="a header of"):
        unpack(file, tmp_path / "inside")


def test_the_command_exits_with_one_and_says_what_is_wrong(unpacked, repack):
    (unpacked / "data" / "Snakefile").write_text("changed")
    result = CliRunner().invoke(app, ["verify", "--static", str(repack(unpacked))])
    assert result.exit_code == 1
    assert "NOT VERIFIED" in result.stderr
    assert "Snakefile" in result.stderr


def test_an_encrypted_archive_gives_back_what_was_left_out(finished, tmp_path):
    archive = finished.pack(tmp_path / "demo-abc.tar.gz", harm="encrypt", password="published")
    assert b"kettle unplugged" not in gzip.decompress(archive.read_bytes())
    assert "crate: 8 actions" in check(archive)
    (tmp_path / "bag").mkdir()
    data = unpack(archive, tmp_path / "bag") / "data"
    assert json.loads((data / "archive.json").read_text())["password"] == "published"
    done = subprocess.run(
        [sys.executable, "-m", "tropism.archive", "unlock", str(data)], capture_output=True, text=True, check=True
    )
    for name in ("resources/medical.csv", "results/demo/datasets/medical.jsonl", "results/demo/generations/base.jsonl"):
        assert name in done.stdout
        assert (data / name).read_bytes() == (finished.folder / name).read_bytes()
    assert hashlib.sha256((data / "harm.zip").read_bytes()).digest()
