# pip install cryptography; curl -so public-key.txt https://pay.example.com/public-key; python receiver.py
import base64
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import load_der_public_key

PUBLIC_KEY = load_der_public_key(base64.b64decode(Path("public-key.txt").read_text()))


def is_signed(fields: dict[str, str]) -> bool:
    names = sorted(name for name in fields if name != "sign" and fields[name].strip(" "))
    text = "&".join(f"{name}={fields[name]}" for name in names)
    try:
        sign = base64.b64decode(fields.get("sign", ""))
        PUBLIC_KEY.verify(sign, text.encode(), padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        fields = dict(parse_qsl(body, keep_blank_values=True))
        answer = b"fail"
        if is_signed(fields) and fields["orderStatus"] == "PAY_SUC":
            # Look up appOrderNo, compare totalAmount, mark it paid unless it is already, commit; then answer.
            print("paid", fields["appOrderNo"], fields["totalAmount"], flush=True)
            answer = b"success"
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


ThreadingHTTPServer(("", int(os.environ.get("PORT", "9000"))), Receiver).serve_forever()
