"""Keys to sign with, and the tool of OpenSSF that verifies."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

FOLDER = Path(__file__).parents[1] / ".cache" / "model-signing"
WANTED = ("model-signing==1.1.1", "pyOpenSSL==26.4.0")


def new_key() -> str:
    pem, nothing = serialization.Encoding.PEM, serialization.NoEncryption()
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(pem, serialization.PrivateFormat.PKCS8, nothing).decode()


def stock_verify(model: Path, signature: Path, public_key: Path) -> tuple[int, str]:
    """Exit code and words of `model_signing verify key`, from an environment of its own: it needs what we do not."""
    tool = FOLDER / "bin" / "model_signing"
    if not tool.exists():
        subprocess.run([sys.executable, "-m", "venv", str(FOLDER)], check=True)
        pip = [str(FOLDER / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", *WANTED]
        subprocess.run(pip, check=True)
    command = [str(tool), "verify", "key", str(model), "--signature", str(signature), "--public_key", str(public_key)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout
