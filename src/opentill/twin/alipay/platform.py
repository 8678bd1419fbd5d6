"""What Alipay tells about itself."""

import base64
from typing import Any

from opentill.twin.alipay.wire import Call, Failure
from opentill.twin.context import Context


def certificate_download(_: Context, call: Call) -> dict[str, Any]:
    """`alipay.open.app.alipaycert.download`: the certificate of a serial that an answer named (channels A.5)."""
    wanted = call.text("alipay_cert_sn")
    if not wanted:
        raise Failure("40002", "isv.invalid-parameter", "缺少 alipay_cert_sn")
    pem = call.account.certificates.get(wanted)
    if pem is None:
        raise Failure("40004", "CERT_NOT_EXIST", "证书不存在")
    return {"alipay_cert_content": base64.b64encode(pem.encode()).decode("ascii")}
