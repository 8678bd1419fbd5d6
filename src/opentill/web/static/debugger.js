// The signature debugger's page: a key typed here stays here. It is compared with texts that have a place for it.

const SECRET = /((?:^|[?&\s'"{,;])(?:app_?)?(?:key|secret)["']?\s*(?:=>|[=:])\s*["']?)[^&\s"',}]+/gi;
const MASK = "***";

const form = document.getElementById("debugger-form");
form.addEventListener("submit", () => {
  // A key that came along with what was pasted does not leave the browser either.
  for (const area of form.querySelectorAll("textarea")) {
    area.value = area.value.replace(SECRET, `$1${MASK}`);
  }
});

if (location.hash.length > 1 && !form.text.value) {
  form.text.value = location.hash.slice(1);
}

const own = document.getElementById("own-key");
if (own) {
  own.addEventListener("submit", (event) => {
    event.preventDefault();
    show(judged(document.getElementById("own-key-value").value));
  });
}
document.getElementById("found")?.focus({ preventScroll: window.innerWidth >= 1120 });

/** What this key makes of the request's signature. */
function judged(key) {
  const { try: tried, texts } = JSON.parse(document.getElementById("try-out").textContent);
  const sign = tried.sign.toLowerCase();
  const fits = (text, digest, given) => hash(text.replaceAll(tried.place, given), digest, given) === sign;
  if (key === "") return { kind: "warn", title: texts.key_empty };
  if (tried.ours.some((text) => fits(text, "md5", key))) return { kind: "good", title: texts.key_matches };
  if (tried.ours.some((text) => fits(text, "md5", key.trim()))) return { kind: "good", title: texts.key_trimmed };
  const found = tried.tried.find(({ text, digest }) => fits(text, digest, key.trim()));
  if (found) return { kind: "bad", title: found.title, text: `${found.advice} ${texts.key_found}` };
  return { kind: "bad", title: texts.key_none };
}

function hash(text, digest, key) {
  const md5 = globalThis.md5;
  switch (digest) {
    case "md5-16":
      return md5(text).slice(8, 24);
    case "hmac-md5":
      return md5(text, key);
    case "md5-md5":
      return md5(md5(text));
    default:
      return md5(text);
  }
}

function show({ kind, title, text }) {
  const box = document.createElement("div");
  box.className = `alert verdict ${kind}`;
  for (const [name, words] of [["h3", title], ["p", text]]) {
    if (words) box.append(Object.assign(document.createElement(name), { textContent: words }));
  }
  document.getElementById("own-key-result").replaceChildren(box);
}
