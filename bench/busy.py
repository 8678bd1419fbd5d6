"""Signs for ever: `python -m bench.busy`. The neighbour of what is measured alone."""

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

if __name__ == "__main__":
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    while True:
        key.sign(b"a" * 400, padding.PKCS1v15(), hashes.SHA256())
