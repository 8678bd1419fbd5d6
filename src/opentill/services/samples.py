"""A signed sample of a notification, so that a receiver can be tried before any money depends on it (pains 8)."""

import msgspec

from opentill.base import numbers
from opentill.base.outbound import AddressRefused, NotSent, ReplyLost
from opentill.domain.notification import CONNECT_TIMEOUT_S, TOTAL_TIMEOUT_S, is_accepted
from opentill.domain.order import Order, OrderState, PaymentWay
from opentill.domain.parties import ALIPAY
from opentill.protocol.notification import CONTENT_TYPE, notification_body, notification_fields
from opentill.protocol.signing import rsa2_sign
from opentill.services.deployment import Deployment
from opentill.services.notifications import MAX_ANSWER_BYTES

# A receiver knows no such order, and no order of anybody's can have this number: a sample can't pay for anything.
LOCAL_ORDER_PREFIX = "TEST-NOTIFICATION-"
SUBJECT = "测试通知"
REDIRECTS = range(300, 400)


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """What was sent and what came back. `verdict`: accepted, other_answer, redirect, status, address, not_sent, lost.

    `problem`: our own words about a call that got no answer, for the reader.
    """

    url: str
    body: str
    status: int = 0
    answer: str = ""
    elapsed_ms: int = 0
    verdict: str
    problem: str = ""


async def send_sample(deployment: Deployment, app_id: int, url: str) -> Sample:
    """Send a notification of a payment that never was, by the same way as real ones, once."""
    body = sample_body(deployment, app_id)
    shown = body.decode("ascii")
    try:
        reply = await deployment.outbound.send(
            "POST",
            url,
            headers={"Content-Type": CONTENT_TYPE},
            body=body,
            connect_timeout_s=CONNECT_TIMEOUT_S,
            timeout_s=TOTAL_TIMEOUT_S,
            max_body_bytes=MAX_ANSWER_BYTES,
        )
    except AddressRefused as error:
        return Sample(url=url, body=shown, verdict="address", problem=str(error))
    except NotSent as error:
        return Sample(url=url, body=shown, verdict="not_sent", problem=str(error))
    except ReplyLost as error:
        return Sample(url=url, body=shown, verdict="lost", problem=str(error))
    if is_accepted(reply.status, reply.body) and not reply.is_truncated:
        verdict = "accepted"
    elif reply.status in REDIRECTS:
        verdict = "redirect"
    else:
        verdict = "other_answer" if 200 <= reply.status < 300 else "status"
    return Sample(
        url=url,
        body=shown,
        status=reply.status,
        answer=reply.body.decode("utf-8", "replace"),
        elapsed_ms=reply.elapsed_ms,
        verdict=verdict,
    )


def sample_body(deployment: Deployment, app_id: int) -> bytes:
    """The form of a payment of one fen, signed by the platform."""
    now_ms = deployment.clock.now_ms()
    order = Order(
        app_id=app_id,
        order_no=numbers.new_order_no(numbers.PAYMENT, app_id=app_id, now_ms=now_ms),
        local_order_no=f"{LOCAL_ORDER_PREFIX}{now_ms}",
        attempt=1,
        merchant_id=0,
        store_id=0,
        operator_id="",
        account_id=0,
        channel=ALIPAY,
        way=PaymentWay.SCAN,
        state=OrderState.PAID,
        amount_fen=1,
        un_discount_fen=None,
        subject=SUBJECT,
        goods=(),
        notify_url="",
        redirect_url="",
        device_create_ip="",
        created_at_ms=now_ms,
        expires_at_ms=now_ms,
        request_sign="",
        channel_trade_no=f"{LOCAL_ORDER_PREFIX}{now_ms}",
        received_fen=1,
        paid_at_ms=now_ms,
    )
    fields = notification_fields(order)
    return notification_body(fields, rsa2_sign(fields, deployment.platform_key))
