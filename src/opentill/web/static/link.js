"use strict";
// The page behind a payment link. It runs in the wallets' own browsers, old ones among them, so nothing here is newer
// than 2017 and it is no module. What a wallet's bridge answers is never believed: our server is asked (pains 47).
(() => {
  const LOOK_EVERY_MS = 2500;
  const LOOK_AFTER_PAYING_MS = 1000;
  const LOOKS_AFTER_PAYING = 15;
  const BRIDGE_PATIENCE_MS = 8000;
  const GO_BACK_AFTER_MS = 2500;

  const config = JSON.parse(document.getElementById("link-config").textContent);
  const texts = config.texts;
  let looksAfterPaying = 0;
  let isOver = false;
  let timer = 0;

  // How each wallet is called, and which of its answers mean that the person changed their mind, or that it failed.
  const BRIDGES = {
    wechat: {
      name: "WeixinJSBridge",
      call: (bridge, then) => bridge.invoke("getBrandWCPayRequest", config.values, answer => then(answer.err_msg)),
      cancelled: ["get_brand_wcpay_request:cancel"],
      done: ["get_brand_wcpay_request:ok"],
    },
    alipay: {
      name: "AlipayJSBridge",
      call: (bridge, then) => bridge.call("tradePay", config.values, answer => then(String(answer.resultCode))),
      cancelled: ["6001"],
      done: ["9000", "8000", "6004"],
    },
  };

  function each(selector, then) {
    Array.prototype.forEach.call(document.querySelectorAll(selector), then);
  }

  function hint(text) {
    const place = document.getElementById("hint");
    if (place) place.textContent = text;
  }

  function setPaying(isPaying) {
    const button = document.getElementById("pay");
    if (button) button.disabled = isPaying;
  }

  // Wallets put their bridge into the page when they like, and say so by an event.
  function whenBridgeIsHere(name) {
    return new Promise(resolve => {
      if (window[name]) return resolve(window[name]);
      const patience = setTimeout(() => resolve(null), BRIDGE_PATIENCE_MS);
      document.addEventListener(`${name}Ready`, () => {
        clearTimeout(patience);
        resolve(window[name]);
      }, { once: true });
    });
  }

  async function pay() {
    const wallet = BRIDGES[config.wallet];
    setPaying(true);
    hint(texts.opening);
    const bridge = await whenBridgeIsHere(wallet.name);
    if (!bridge) {
      hint(texts.no_bridge_hint);
      setPaying(false);
      return;
    }
    wallet.call(bridge, said => {
      if (wallet.done.indexOf(said) >= 0) {
        hint(texts.checking);
      } else {
        hint(wallet.cancelled.indexOf(said) >= 0 ? texts.cancelled_hint : texts.failed_hint);
        setPaying(false);
      }
      looksAfterPaying = LOOKS_AFTER_PAYING;
      lookIn(0);
    });
  }

  function lookIn(ms) {
    clearTimeout(timer);
    if (!isOver) timer = setTimeout(look, ms);
  }

  async function look() {
    const isAfterPaying = looksAfterPaying > 0;
    try {
      const reply = await fetch(config.status_url + (isAfterPaying ? "?ask=1" : ""), { cache: "no-store" });
      if (reply.ok) show(await reply.json());
    } catch (error) {
      // No network for a moment: the next look finds out.
    }
    if (isAfterPaying) {
      looksAfterPaying -= 1;
      if (looksAfterPaying === 0 && !isOver && document.getElementById("hint").textContent === texts.checking) {
        hint(texts.no_answer_hint);
        setPaying(false);
      }
    }
    lookIn(looksAfterPaying > 0 ? LOOK_AFTER_PAYING_MS : LOOK_EVERY_MS);
  }

  function show(found) {
    isOver = found.is_final;
    if (found.status === "waiting") return;
    each("[data-view]", view => { view.hidden = view.dataset.view !== found.status; });
    if (found.status === "paid" && found.redirect_url) goBack(found.redirect_url);
  }

  function goBack(url) {
    const link = document.getElementById("go-back");
    link.href = url;
    link.hidden = false;
    document.getElementById("going-back").hidden = false;
    setTimeout(() => location.replace(url), GO_BACK_AFTER_MS);
  }

  // The code of an authorisation works once: what is reloaded, shared or kept must be the link itself.
  if (location.pathname + location.search !== config.path) history.replaceState(null, "", config.path);

  document.addEventListener("visibilitychange", () => { if (!document.hidden) lookIn(0); });
  window.addEventListener("pageshow", event => { if (event.persisted) lookIn(0); });

  if (config.view === "pay") {
    document.getElementById("pay").addEventListener("click", pay);
    pay();
  }
  if (config.view === "pay" || config.view === "scan" || config.view === "expired") lookIn(LOOK_EVERY_MS);
  if (config.view === "paid") {
    const link = document.getElementById("go-back");
    if (link.href) goBack(link.href);
  }
})();
