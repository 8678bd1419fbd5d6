// The bridge that a wallet's own browser gives to pages: WeixinJSBridge and AlipayJSBridge (channels B.13).
// A page of the sandbox loads this script; the paths of the twin's API are relative to it.
(() => {
  const base = new URL(".", document.currentScript.src);
  const agent = navigator.userAgent;

  async function post(path, values) {
    const reply = await fetch(new URL(path, base), {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(values),
    });
    const answer = await reply.json();
    if (!reply.ok) throw new Error(answer.error.message);
    return answer;
  }

  function button(text, color) {
    const made = document.createElement("button");
    made.textContent = text;
    Object.assign(made.style, {
      font: "inherit", width: "100%", padding: ".6rem", marginTop: ".5rem", border: "0", borderRadius: ".5rem",
      color: "#fff", background: color,
    });
    return made;
  }

  // Shows what is to be paid; resolves to true when the person agrees.
  function confirmed({ subject, total_fen }) {
    const dialog = document.createElement("dialog");
    dialog.id = "twin-cashier";
    Object.assign(dialog.style, { font: "16px/1.5 system-ui, sans-serif", border: "0", borderRadius: ".75rem", width: "18rem" });
    const words = document.createElement("p");
    words.textContent = subject;
    const amount = document.createElement("p");
    amount.textContent = `￥${(total_fen / 100).toFixed(2)}`;
    amount.style.fontSize = "2rem";
    const pay = button("确认付款", "#07c160"), leave = button("取消", "#6b7280");
    pay.id = "twin-pay";
    leave.id = "twin-cancel";
    dialog.append(words, amount, pay, leave);
    document.body.append(dialog);
    dialog.showModal();
    return new Promise(resolve => {
      dialog.addEventListener("close", () => { dialog.remove(); resolve(dialog.returnValue === "pay"); });
      pay.addEventListener("click", () => dialog.close("pay"));
      leave.addEventListener("click", () => dialog.close("cancel"));
    });
  }

  // "ok", "cancel" or "fail", as the person and the wallet decide.
  async function paid(call) {
    try {
      const payment = await post("api/bridge", call);
      if (!await confirmed(payment)) return "cancel";
      await post("api/pay", { qr_code: payment.code });
      return "ok";
    } catch (error) {
      console.error(error);
      return "fail";
    }
  }

  function offer(name, bridge) {
    window[name] = bridge;
    document.dispatchEvent(new Event(`${name}Ready`));
  }

  if (!/AlipayClient/i.test(agent)) offer("WeixinJSBridge", {
    async invoke(name, values, then) {
      if (name !== "getBrandWCPayRequest") return then?.({ err_msg: `${name}:fail_not_supported` });
      then?.({ err_msg: `get_brand_wcpay_request:${await paid({ wallet: "wechat", ...values })}` });
    },
  });
  if (!/MicroMessenger/i.test(agent)) offer("AlipayJSBridge", {
    async call(name, values, then) {
      if (name !== "tradePay") return then?.({ error: 1 });
      const codes = { ok: "9000", cancel: "6001", fail: "4000" };
      then?.({ resultCode: codes[await paid({ wallet: "alipay", ...values })] });
    },
  });
})();
