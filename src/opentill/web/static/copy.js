// Copy buttons: <button data-copy="ID of the element with the text">. The button says how it went.

/** Plain http on another machine has no clipboard API; there the selected text of a textarea is copied. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const focused = document.activeElement;
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "visually-hidden";
    document.body.append(area);
    area.select();
    const isCopied = document.execCommand("copy");
    area.remove();
    focused?.focus();
    return isCopied;
  }
}

for (const button of document.querySelectorAll("button[data-copy]")) {
  const label = button.textContent;
  button.addEventListener("click", async () => {
    const isCopied = await copyText(document.getElementById(button.dataset.copy).textContent);
    button.textContent = isCopied ? button.dataset.copied : button.dataset.copyFailed;
    setTimeout(() => (button.textContent = label), 1500);
  });
}
