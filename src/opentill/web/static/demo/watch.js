// Following an order: pushed by the gateway as it happens; asked again and again where that does not work.

import { signRequest } from "../opentill-sign.js";
import { nowMs } from "./form.js";
import { send } from "./request.js";

const ASK_EVERY_MS = 1500;
const ASK_GATEWAY_EVERY_MS = 3000;
const MAX_SILENCES = 3;

/**
 * Calls `show(snapshot, how)` with every change; `how` is "live" or "polling". Answers a function that stops it.
 * `query` names the order: {app, local_order_no} or {app, order_no}.
 */
export function watchOrder(query, show) {
  const search = new URLSearchParams(query).toString();
  let isOver = false;
  let timer = 0;
  let silences = 0;
  const stream = new EventSource(`/test/api/events?${search}`);
  stream.addEventListener("order", (event) => {
    silences = 0;
    show(JSON.parse(event.data), "live");
  });
  // The gateway ends each stream after a while and the browser opens the next one; a refusal or silence means polling.
  stream.addEventListener("error", () => {
    silences += 1;
    if (stream.readyState === EventSource.CLOSED || silences > MAX_SILENCES) {
      stream.close();
      ask();
    }
  });

  async function ask() {
    try {
      const response = await fetch(`/test/api/status?${search}`);
      if (response.ok && !isOver) show(await response.json(), "polling");
    } catch {
      // The gateway may be restarting: the next question finds out.
    }
    if (!isOver) timer = setTimeout(ask, ASK_EVERY_MS);
  }

  return () => {
    isOver = true;
    clearTimeout(timer);
    stream.close();
  };
}

/**
 * The same by asking open.pay.query, as an integrator does: for deployments that show orders to nobody else.
 * `call` is {url, form, query, key}: the request that opened the order, and how to name it.
 */
export function watchThroughGateway({ url, form, query, key }, show) {
  let isOver = false;
  let timer = 0;

  async function ask() {
    const { app, operator_id } = form;
    const asked = { command: "open.pay.query", app, operator_id, version: "1.1", timestamp: String(nowMs()), ...query };
    asked.sign = signRequest(asked, ["app", "operator_id", "timestamp", ...Object.keys(query)], key, globalThis.md5);
    try {
      const { reply } = await send(url, asked);
      if (reply?.result.success && !isOver) show(asSnapshot(reply.data), "polling");
    } catch {
      // No answer now: the next question finds out.
    }
    if (!isOver) timer = setTimeout(ask, ASK_GATEWAY_EVERY_MS);
  }
  ask();
  return () => {
    isOver = true;
    clearTimeout(timer);
  };
}

function asSnapshot(data) {
  const order = {
    order_no: data.cbOrderNo,
    local_order_no: data.localOrderNo,
    channel_trade_no: data.outOrderNo,
    channel: data.paymentChannel,
    status: data.orderStatus,
    amount_fen: data.totalAmount,
    received_fen: data.receiveAmount || "0",
    discount_fen: data.discountAmount || "0",
    refunded_fen: data.refundAmount || "0",
    paid_at_ms: data.payTime || "0",
  };
  return { order, events: [], notifications: [], received: [] };
}
