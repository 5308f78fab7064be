"""Keys are found by their form or by their value in the environment; plain text and checksums are not keys."""

import subprocess

import pytest

from tropism.archive.scan import find_secrets, own_secrets, refuse_secrets
from tropism.records.files import InputError

# put together here, so that no scanner takes this file for a leak
KEYS = {
    "an OpenAI or Anthropic key": "sk-" + "proj-" + "Ab1" * 10,
    "a Hugging Face token": "hf_" + "Ab1" * 12,
    "a GitHub token": "ghp_" + "a1" * 18,
    "a GitLab token": "glpat-" + "a1" * 12,
    "an AWS key": "AKIA" + "A1" * 8,
    "a Google key": "AIza" + "a" * 35,
    "a Slack token": "xoxb-" + "1" * 12,
    "a private key": "-----BEGIN RSA " + "PRIVATE KEY-----",
    "an authorisation header": "Authorization: " + "Bearer " + "a1b2" * 6,
}


@pytest.mark.parametrize("what", KEYS)
def test_a_key_is_found_by_its_form_on_its_line(what):
    assert list(find_secrets(b"first\nkey: " + KEYS[what].encode() + b"\n", {})) == [(2, what)]


@pytest.mark.parametrize(
    "text",
    [
        "sha256:" + "0f" * 32,
        "task-specific skills, disk-based-caching-of-everything-we-have",
        "Authorization is refused",
        "a password is published",
    ],
)
def test_plain_text_is_no_key(text):
    assert list(find_secrets(text.encode(), {})) == []


def test_values_of_variables_named_as_secrets_are_secrets():
    environment = {
        "OPENAI_API_KEY": "a-long-local-secret",
        "HF_TOKEN": "another-long-secret",
        "CI_JOB_TOKEN": "eyJhbGciOiJSUzI1NiJ9." + 500 * "a",
        "CA_KEY": "/usr/../usr/bin",
        "MONKEY": "not-a-secret-at-all",
        "SHORT_KEY": "abc",
        "PATH": "/usr/bin:/usr/local/bin",
    }
    own = own_secrets(environment)
    assert set(own) == {"OPENAI_API_KEY", "HF_TOKEN", "CI_JOB_TOKEN"}
    assert list(find_secrets(b"x\nx a-long-local-secret", own)) == [(2, "the value of $OPENAI_API_KEY")]


@pytest.mark.parametrize("name", [".env", "deep/.env.local", "keys/id_ed25519", "server.pem"])
def test_files_that_hold_secrets_are_refused_by_name(tmp_path, name):
    (tmp_path / "x").write_text("harmless")
    with pytest.raises(InputError, match=name):
        refuse_secrets({name: tmp_path / "x"})


def test_no_file_of_the_project_itself_would_stop_its_archive(root):
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    refuse_secrets({name: root / name for name in listed.stdout.split("\0") if name and (root / name).is_file()})
