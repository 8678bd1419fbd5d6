// Sounds made by the browser itself. Browsers allow them after the first touch or key; without them colour tells it all.

const KEY = "till.muted";
let context = null;

const isMuted = () => localStorage.getItem(KEY) === "1";

for (const kind of ["pointerdown", "keydown"]) {
  document.addEventListener(kind, () => {
    context ??= window.AudioContext ? new AudioContext() : null;
    if (context?.state === "suspended") context.resume().catch(() => {});
  }, { capture: true });
}

export function soundButton(button) {
  if (!button) return;
  const draw = () => {
    const words = isMuted() ? button.dataset.off : button.dataset.on;
    button.title = words;
    button.querySelector(".visually-hidden").textContent = words;
    button.classList.toggle("is-off", isMuted());
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    localStorage.setItem(KEY, isMuted() ? "0" : "1");
    draw();
    chime([[880, 0]]);
  });
  draw();
}

/** Two rising tones. */
export const soundPaid = () => chime([[784, 0], [1175, 0.13], [1568, 0.26]]);

/** One low tone. */
export const soundFailed = () => chime([[196, 0], [165, 0.2]]);

function chime(tones) {
  if (!context || context.state !== "running" || isMuted()) return;
  for (const [hertz, after] of tones) {
    const tone = context.createOscillator();
    const volume = context.createGain();
    const start = context.currentTime + after;
    tone.frequency.value = hertz;
    volume.gain.setValueAtTime(0.0001, start);
    volume.gain.exponentialRampToValueAtTime(0.35, start + 0.02);
    volume.gain.exponentialRampToValueAtTime(0.0001, start + 0.3);
    tone.connect(volume).connect(context.destination);
    tone.start(start);
    tone.stop(start + 0.32);
  }
}
