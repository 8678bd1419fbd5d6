// The request as text and as a real call.

/** The body as it goes out: UTF-8, URL encoded. */
export function formBody(form) {
  return new URLSearchParams(form).toString();
}

export function asHttp(url, form) {
  const { host, pathname } = new URL(url);
  const body = formBody(form).replace(/&/g, "\n&");
  return `POST ${pathname} HTTP/1.1\nHost: ${host}\nContent-Type: application/x-www-form-urlencoded\n\n${body}`;
}

export function asCurl(url, form) {
  const fields = Object.entries(form).map(([name, value]) => `  --data-urlencode ${quoted(`${name}=${value}`)}`);
  return [`curl ${quoted(url)}`, ...fields].join(" \\\n");
}

/** Send it. Answers the HTTP status, the text, how long it took, and what it says if it is a reply at all. */
export async function send(url, form) {
  const startedMs = performance.now();
  const response = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/x-www-form-urlencoded" },
    body: formBody(form),
  });
  const text = await response.text();
  const elapsedMs = Math.round(performance.now() - startedMs);
  return { status: response.status, text, elapsedMs, reply: readReply(text) };
}

function readReply(text) {
  try {
    const reply = JSON.parse(text);
    return reply?.result && reply?.data ? reply : null;
  } catch {
    return null;
  }
}

/** One word for a POSIX shell. */
function quoted(text) {
  return `'${text.replace(/'/g, `'\\''`)}'`;
}
