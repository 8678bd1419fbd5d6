// Verifying what the gateway signed. The gateway's own verdict is asked: over plain http a browser has no crypto for it.

import { stringToSign } from "../opentill-sign.js";
import { codeCard, make, texts } from "./dom.js";

const t = texts.demo;

/** The signed fields of a reply: by the interface's table, without empty ones. */
export function signedFields(data, signedNames) {
  return Object.fromEntries(Object.entries(data).filter(([name, value]) => signedNames.includes(name) && value.trim() !== ""));
}

/** Every field of a notification but `sign`, without empty ones. */
export function notificationFields(fields) {
  return Object.fromEntries(Object.entries(fields).filter(([name, value]) => name !== "sign" && value.trim() !== ""));
}

/** A badge that turns to the verdict, and the steps that lead there. */
export function verification(fields, sign) {
  const badge = make("span", { class: "badge", role: "status" }, t.verify_checking);
  askVerdict(fields, sign).then(
    (verdict) => {
      badge.className = verdict.valid ? "badge good" : "badge bad";
      badge.textContent = verdict.valid ? `✓ ${t.verify_valid}` : `✕ ${t.verify_invalid}`;
    },
    () => {
      badge.className = "badge warn";
      badge.textContent = t.verify_failed;
    },
  );
  const steps = make(
    "div",
    { class: "stack tight" },
    codeCard(t.verify_string, stringToSign(fields)),
    codeCard(t.verify_sign, sign),
    make("p", { class: "small muted" }, t.verify_explained),
  );
  return { badge, steps };
}

/** Name and value of every field; the signed ones are marked. */
export function fieldTable(data, signed) {
  const rows = Object.entries(data).map(([name, value]) =>
    make(
      "tr",
      {},
      make("th", { scope: "row" }, make("code", {}, name), name in signed && make("span", { class: "tag signed" }, t.signed)),
      make("td", { class: "wraps" }, make("code", {}, value)),
    ),
  );
  const head = [t.field, t.value].map((title) => make("th", { scope: "col" }, title));
  return make(
    "div",
    { class: "table-frame" },
    make("table", { class: "pairs" }, make("thead", {}, make("tr", {}, head)), make("tbody", {}, rows)),
  );
}

async function askVerdict(fields, sign) {
  const response = await fetch("/test/api/verify", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ fields, sign }),
  });
  if (!response.ok) throw new Error(String(response.status));
  return response.json();
}
