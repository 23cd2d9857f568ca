"""A certificate of our own for 127.0.0.1."""

import subprocess
from pathlib import Path


def certificate(folder: Path) -> tuple[Path, Path]:
    """(certificate, key) in `folder`, made by openssl unless they are there."""
    files = folder / "certificate.pem", folder / "key.pem"
    if not files[0].exists():
        words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=127.0.0.1"
        command = ["openssl", *words.split(), "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
        subprocess.run([*command, "-out", str(files[0]), "-keyout", str(files[1])], check=True, capture_output=True)
    return files
