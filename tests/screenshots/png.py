"""PNG files with at most 256 colours: a third of what a browser writes, and nobody sees the difference on a page."""

import base64
import struct
import zlib
from typing import Any

from playwright.async_api import Page

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Runs in the browser, which decodes pictures fast. The most frequent colours (in steps of 4) stay, others become the
# nearest of them.
_PALETTE = """async (source) => {
  const image = await createImageBitmap(await (await fetch(source)).blob());
  const canvas = new OffscreenCanvas(image.width, image.height);
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const pixels = context.getImageData(0, 0, image.width, image.height).data;
  const counts = new Map();
  const keys = new Uint32Array(pixels.length / 4);
  for (let at = 0; at < keys.length; at += 1) {
    const key = ((pixels[4 * at] >> 2) << 12) | ((pixels[4 * at + 1] >> 2) << 6) | (pixels[4 * at + 2] >> 2);
    keys[at] = key;
    const seen = counts.get(key);
    if (seen) seen.count += 1;
    else counts.set(key, { count: 1, colour: [pixels[4 * at], pixels[4 * at + 1], pixels[4 * at + 2]] });
  }
  const kept = [...counts.values()].sort((a, b) => b.count - a.count).slice(0, 256).map((each) => each.colour);
  const nearest = new Map();
  const far = (a, b) => (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 + (a[2] - b[2]) ** 2;
  for (const [key, { colour }] of counts) {
    let best = 0;
    for (let place = 1; place < kept.length; place += 1) {
      if (far(kept[place], colour) < far(kept[best], colour)) best = place;
    }
    nearest.set(key, best);
  }
  let indices = "";
  for (let at = 0; at < keys.length; at += 8192) {
    indices += String.fromCharCode(...Array.from(keys.subarray(at, at + 8192), (key) => nearest.get(key)));
  }
  return { width: image.width, height: image.height, kept, indices: btoa(indices) };
}"""


async def smaller(page: Page, png: bytes) -> bytes:
    """The picture with a palette; `page` is any page whose browser may help (about:blank)."""
    source = "data:image/png;base64," + base64.b64encode(png).decode("ascii")
    found: dict[str, Any] = await page.evaluate(_PALETTE, source)
    width, height = found["width"], found["height"]
    indices = base64.b64decode(found["indices"])
    rows = b"".join(b"\0" + indices[start : start + width] for start in range(0, width * height, width))
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    palette = bytes(value for colour in found["kept"] for value in colour)
    chunks = ((b"IHDR", header), (b"PLTE", palette), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(kind, body) for kind, body in chunks)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
