"""WeChat Pay: certificates and the self-test (channels B.3)."""

import base64
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from tests.twin.world import world


async def test_the_platform_certificate_can_be_fetched_and_verifies_the_answer_that_brought_it(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        answer = await w.wechat(serial="").call("GET", "/v3/certificates")

        merchant = w.twin.wechat_merchant()
        (entry,) = answer.document["data"]
        sealed = entry["encrypt_certificate"]
        pem = AESGCM(merchant.api_v3_key.encode()).decrypt(
            sealed["nonce"].encode(), base64.b64decode(sealed["ciphertext"]), sealed["associated_data"].encode()
        )
        assert pem.decode() == merchant.platform_certificate_pem
        assert sealed["associated_data"] == "certificate"
        assert entry["serial_no"] == answer.headers["wechatpay-serial"] == merchant.platform_certificate_serial
        assert f"{x509.load_pem_x509_certificate(pem).serial_number:040X}" == entry["serial_no"]
        assert entry["effective_time"] < "2026-11-23T12:00:00+08:00" < entry["expire_time"]


@pytest.mark.parametrize(("kind", "status"), [("RSA", 200), ("ALL", 200), ("SM2", 404), ("X", 400)])
async def test_only_rsa_certificates_exist(tmp_path: Path, kind: str, status: int) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        answer = await w.wechat().call("GET", f"/v3/certificates?algorithm_type={kind}")

        assert answer.status == status


async def test_the_self_test_echoes_decrypts_and_calls_back(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        key = load_pem_public_key(w.twin.wechat_merchant().public_key_pem.encode())
        assert isinstance(key, rsa.RSAPublicKey)
        oaep = padding.OAEP(mgf=padding.MGF1(hashes.SHA1()), algorithm=hashes.SHA1(), label=None)
        document = {
            "echo_message": "你好",
            "encrypted_echo_message": base64.b64encode(key.encrypt("你好".encode(), oaep)).decode(),
            "notify_url": w.shop.url,
        }

        answer = await w.wechat().call("POST", "/v3/security/echo", document)

        await w.twin.quiet()
        assert (answer.status, answer.document["echo_message"]) == (200, "你好")
        assert len(w.shop.received) == 1


async def test_what_is_encrypted_for_another_key_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        document = {"echo_message": "x", "encrypted_echo_message": base64.b64encode(b"x" * 256).decode()}

        answer = await w.wechat().call("POST", "/v3/security/echo", document)

        assert (answer.status, answer.code) == (400, "PARAM_ERROR")
