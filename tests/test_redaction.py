"""Secrets stand in no message, record or page, whatever they came with."""

import json
from pathlib import Path

import pytest
from support.pictures import write_pictures

from benchmark.addresses import check_address
from benchmark.errors import BenchmarkError, UsageError, kind_and_message, one_line
from benchmark.redaction import redacted, secret_in
from benchmark.registry import parse_spec
from benchmark.running.run import Request, open_run

SECRET = "hunter2aBc"
ADDRESSES = [
    f"https://user:{SECRET}@host/x",
    f"https://user:p@{SECRET}@host/x",
    f"https://{SECRET}@host/x",
    f"s3://key:{SECRET}@bucket/x",
    *(
        f"https://host/x?a=1&{name}={SECRET}&b=2"
        for name in (
            "X-Amz-Signature", "X-Amz-Security-Token", "X-Amz-Credential", "sig", "token", "access_token", "api_key",
            "apikey", "apiKey", "key", "password", "passwd", "pwd", "Signature", "client_secret", "auth", "jwt",
            "AccessKeyId", "session_id", "sas", "Authorization", "private-token",
        )
    ),
    f"https://host/x?a=1;token={SECRET}",
    f"https://host/x#access_token={SECRET}",
]  # fmt: skip
PLAIN = [
    "https://host/x?id=1&width=256&max_tokens=9",
    "https://host/data@square256/x.png",
    "abfs://container@account.dfs.core.windows.net/x",
    "sftp://user@host/x",
    "kodak@square256",
    "./codec.py:C:tokens=256,key=3",
    "jpeg",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_secret_in_an_address_is_taken_out_and_refused(address: str) -> None:
    for text in (address, f"cannot open {address}: 403", f"url='{address}')", f"{address} and {address}"):
        assert SECRET not in redacted(text)
        assert redacted(redacted(text)) == redacted(text)
    assert "host" in redacted(address) or "bucket" in redacted(address)
    assert secret_in(address)
    with pytest.raises(UsageError, match="would be written") as refused:
        check_address(address)
    assert SECRET not in str(refused.value)
    for told in (one_line, kind_and_message):
        assert SECRET not in told(OSError(f"{address}: no"))
    with pytest.raises(UsageError, match="environment") as refused:
        parse_spec(f'command:enc="curl {address} {{in}}",dec="b {{in}} {{out}}"')
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("text", PLAIN)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redacted(text) == text
    if "://" in text:
        check_address(text)


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {SECRET}",
        f"{{'Authorization': 'Basic {SECRET}'}}",
        f"curl -H 'authorization: {SECRET}' x",
        f"Proxy-Authorization: Basic {SECRET}",
        f"Max retries exceeded with url: /a/b?sv=1&sig={SECRET} (Caused by x)",
        f"cannot connect to proxy http://me:{SECRET}@proxy:3128",
    ],
)
def test_headers_and_parts_of_addresses(text: str) -> None:
    assert SECRET not in redacted(text)


def test_a_codec_that_raises_a_secret_leaves_it_nowhere(tmp_path: Path) -> None:
    """In an error, in what it says of itself, on the command line: no file of the run has it."""
    (tmp_path / "codec.py").write_text(
        f"""
class C:
    qualities = (1,)
    stochastic = False

    def encode(self, image, quality):
        raise OSError("GET https://user:{SECRET}@host/x?token={SECRET}: 403")

    def decode(self, data):
        raise AssertionError

    def describe(self):
        return {{"server": "https://host/x?api_key={SECRET}", "all": ["s3://key:{SECRET}@bucket"]}}
"""
    )
    write_pictures(tmp_path / "pictures", ["a.png"])
    asked = Request(
        [f"{tmp_path}/codec.py:C"], True, str(tmp_path / "pictures"), ["1"], ["psnr"], output=tmp_path / "run",
        command=["benchmark", "run", f"https://x:{SECRET}@y/"],
    )  # fmt: skip
    with open_run(asked) as run:
        errors = [trial.error for trial in run.execute()]
    assert errors[0] is not None
    assert "403" in errors[0]
    manifest = json.loads((tmp_path / "run" / "run.json").read_text())
    assert manifest["codecs"][f"{tmp_path}/codec.py:C"]["description"]["all"] == ["s3://…@bucket"]
    files = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert any(path.parent.name == "tracebacks" for path in files)
    for path in files:
        found = path.read_bytes()
        if path.parent.name == "tracebacks":
            # the line of source is the codec's own, which the user wrote; the message is not
            found = b"\n".join(line for line in found.splitlines() if b"raise OSError" not in line)
        assert SECRET.encode() not in found, path


def test_an_unreadable_address_in_a_list_tells_no_secret(tmp_path: Path) -> None:
    from benchmark.datasets import open_dataset

    (tmp_path / "list.txt").write_text(f"https://host/a.png?X-Amz-Signature={SECRET}\n")
    with pytest.raises(BenchmarkError) as refused:
        open_dataset(str(tmp_path / "list.txt"))
    assert SECRET not in one_line(refused.value)
