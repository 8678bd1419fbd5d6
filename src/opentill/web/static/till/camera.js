// Reading codes with the camera: by the browser itself where it can, else by a decoder that is loaded when needed.

const LOOK_EVERY_MS = 150;
const LARGEST_SIDE = 1000;
const DECODER = "/static/vendor/jsqr/jsQR.js";

/** Browsers give the camera to https and to this machine only. */
export const hasCamera = () => Boolean(navigator.mediaDevices?.getUserMedia);

/**
 * Shows the camera in `video` and calls `found` with the first text that `isWanted`. Answers a function that stops it.
 * Throws when the camera is not allowed.
 */
export async function watchCamera(video, isWanted, found) {
  const read = await reader();
  const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  video.srcObject = stream;
  await video.play();
  let isOver = false;
  let timer = setTimeout(look, LOOK_EVERY_MS);

  async function look() {
    const seen = video.videoWidth ? await read(video).catch(() => []) : [];
    const text = seen.find(isWanted);
    if (isOver) return;
    if (text) {
      stop();
      found(text);
    } else {
      timer = setTimeout(look, LOOK_EVERY_MS);
    }
  }
  function stop() {
    isOver = true;
    clearTimeout(timer);
    for (const track of stream.getTracks()) track.stop();
    video.srcObject = null;
  }
  return stop;
}

async function reader() {
  if (window.BarcodeDetector) {
    const formats = await window.BarcodeDetector.getSupportedFormats().catch(() => []);
    if (formats.includes("qr_code")) {
      const detector = new window.BarcodeDetector({ formats: formats.filter((each) => ["qr_code", "code_128"].includes(each)) });
      return async (video) => (await detector.detect(video)).map((code) => code.rawValue);
    }
  }
  await loadDecoder();
  return async (video) => {
    const scale = Math.min(1, LARGEST_SIDE / Math.max(video.videoWidth, video.videoHeight));
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(video.videoWidth * scale);
    canvas.height = Math.round(video.videoHeight * scale);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(video, 0, 0, canvas.width, canvas.height);
    const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
    const code = globalThis.jsQR(pixels.data, canvas.width, canvas.height);
    return code ? [code.data] : [];
  };
}

function loadDecoder() {
  if (globalThis.jsQR) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = DECODER;
    script.onload = resolve;
    script.onerror = reject;
    document.head.append(script);
  });
}
