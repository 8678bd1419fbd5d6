// The twin's JSON API, and the wallets' words for people. Paths are relative: the twin may be mounted anywhere.

import { t } from "./dom.js";

export const ALIPAY = "alipay";
export const WECHAT = "wechat";

const PAYER_COOKIE = "twin_payer";
const DEFAULT_PAYER = "payer";
const API = new URL("../api/", import.meta.url);

/** What the wallet refuses: `code` for programs, the message for people. */
export class Refused extends Error {
  constructor(code, message) {
    super(REFUSALS[code] ?? message);
    this.code = code;
  }
}

const REFUSALS = {
  UNKNOWN_CODE: t.unknown_code,
  ALREADY_PAID: t.already_paid,
  TRADE_CLOSED: t.trade_closed,
  OTHER_PAYER: t.other_payer,
  PASSWORD_ASKED: t.password_asked,
  CODE_REPLACED: t.code_replaced,
};

export const scan = (qrCode) => ask("scan", { qr_code: qrCode, payer: payer() });
export const pay = (qrCode, more = {}) => ask("pay", { qr_code: qrCode, payer: payer(), ...more });
export const enterPassword = (outTradeNo, more = {}) => ask("password", { out_trade_no: outTradeNo, ...more });
export const coupons = async () => (await ask("coupons")).coupons;
export const addCoupon = (coupon) => ask("coupons", coupon);
export const clearCoupons = () => ask("coupons", undefined, "DELETE");
export const trades = async (limit = 30) => (await ask(`trades?limit=${limit}`)).trades;

export const walletName = (wallet) => t[`wallet_${wallet}`] ?? wallet;

/** Who holds the phone. The cookie is shared with the wallets' own pages. */
export function payer() {
  return document.cookie.match(new RegExp(`(?:^|; )${PAYER_COOKIE}=([\\w-]+)`))?.[1] ?? DEFAULT_PAYER;
}

export function becomePayer(name) {
  document.cookie = `${PAYER_COOKIE}=${name}; path=/; max-age=31536000; samesite=lax`;
}

const STATES = {
  WAIT_BUYER_PAY: "waiting",
  TRADE_SUCCESS: "paid",
  TRADE_FINISHED: "paid",
  TRADE_CLOSED: "closed",
  NOTPAY: "waiting",
  USERPAYING: "password",
  SUCCESS: "paid",
  REFUND: "refunded",
  CLOSED: "closed",
  REVOKED: "closed",
  PAYERROR: "failed",
};

/** A trade's state in one word that both wallets share: paid, waiting, password, refunded, part_refunded, closed, failed. */
export function stateOf(trade) {
  if (trade.refunded_fen > 0) return trade.refunded_fen >= trade.total_fen ? "refunded" : "part_refunded";
  if (trade.waits_for_password) return "password";
  return STATES[trade.status] ?? "waiting";
}

async function ask(path, values, method = values ? "POST" : "GET") {
  let response;
  try {
    response = await fetch(new URL(path, API), {
      method,
      headers: values ? { "Content-Type": "application/json" } : {},
      body: values && JSON.stringify(values),
    });
  } catch {
    throw new Refused("NOT_REACHED", t.not_reached);
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(answer.error?.code ?? String(response.status), answer.error?.message ?? t.not_reached);
  return answer;
}
