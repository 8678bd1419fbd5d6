// Reading a QR code from the camera or from a photo. The decoder is loaded when it is first needed.

import { make } from "./dom.js";

const LOOK_EVERY_MS = 150;
const LARGEST_SIDE = 1200; // a photo is made smaller: decoding takes time with its size

export const hasCamera = () => Boolean(navigator.mediaDevices?.getUserMedia);

/**
 * Show the camera in `video` and call `found` with the first text read. Answers a function that stops it.
 * Throws when the camera is not allowed.
 */
export async function watchCamera(video, found) {
  await loadDecoder();
  const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  video.srcObject = stream;
  await video.play();
  const timer = setInterval(() => {
    const text = video.videoWidth ? decode(video, video.videoWidth, video.videoHeight) : null;
    if (text) {
      stop();
      found(text);
    }
  }, LOOK_EVERY_MS);
  function stop() {
    clearInterval(timer);
    for (const track of stream.getTracks()) track.stop();
  }
  return stop;
}

/** The text in a photo, null when there is none. */
export async function readPhoto(file) {
  await loadDecoder();
  const bitmap = await createImageBitmap(file);
  try {
    return decode(bitmap, bitmap.width, bitmap.height);
  } finally {
    bitmap.close();
  }
}

function decode(image, width, height) {
  const scale = Math.min(1, LARGEST_SIDE / Math.max(width, height));
  const canvas = make("canvas", { width: Math.round(width * scale), height: Math.round(height * scale) });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
  return globalThis.jsQR(pixels.data, canvas.width, canvas.height)?.data || null;
}

function loadDecoder() {
  if (globalThis.jsQR) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const src = new URL("vendor/jsqr/jsQR.js", import.meta.url).href;
    document.head.append(make("script", { src, onload: resolve, onerror: reject }));
  });
}
