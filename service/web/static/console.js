// What the console adds for those with JavaScript: keys, copying, dropping files, countdowns. Every page works without it.
"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("has-js");

  const typing = (element) => element && (element.matches("input:not([type=checkbox]):not([type=radio]), textarea, select") || element.isContentEditable);

  // `/` searches; j and k walk the rows; Enter follows the row's link, which has the focus.
  const rows = () => [...document.querySelectorAll("[data-rows] a.row-link")];
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape" && event.target.matches("[data-search]")) { event.target.blur(); return; }
    if (typing(event.target)) return;
    if (event.key === "/") {
      const search = document.querySelector("[data-search]");
      if (search) { event.preventDefault(); search.focus(); search.select(); }
    } else if (event.key === "j" || event.key === "k") {
      const links = rows();
      if (!links.length) return;
      const at = links.indexOf(document.activeElement);
      const next = at < 0 ? (event.key === "j" ? 0 : links.length - 1) : at + (event.key === "j" ? 1 : -1);
      if (links[next]) { event.preventDefault(); links[next].focus(); links[next].scrollIntoView({ block: "nearest" }); }
    }
  });

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const word = button.querySelector("[data-copy-word]");
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      word.textContent = "Copied";
    } catch {
      word.textContent = "Copy failed";
    }
    setTimeout(() => { word.textContent = "Copy"; }, 2000);
  });

  // Files: chosen or dropped, read here, put into the area as text. Binary forms (DER, PKCS#7, PKCS#12) become base64 in a PEM block.
  const MAX_FILE_BYTES = 256 * 1024;
  const asText = (bytes, name) => {
    const text = new TextDecoder("utf-8").decode(bytes);
    if (!text.includes("\uFFFD") && !text.includes("\u0000")) return text;
    const kind = /\.(p12|pfx)$/i.test(name) ? "PKCS12" : /\.p7[bc]$/i.test(name) ? "PKCS7" : /\.key$/i.test(name) ? "PRIVATE KEY" : "CERTIFICATE";
    let binary = "";
    for (const byte of bytes) binary += String.fromCharCode(byte);
    const lines = btoa(binary).match(/.{1,64}/g) || [];
    return `-----BEGIN ${kind}-----\n${lines.join("\n")}\n-----END ${kind}-----\n`;
  };
  const MAX_FILES = 20;
  const isKey = (text, name) => /\.(p12|pfx)$/i.test(name) || (/PRIVATE KEY-----/.test(text) && !/CERTIFICATE-----/.test(text));
  const place = (area, parts, replace) => {
    if (!area || !parts.length) return;
    area.value = [replace ? "" : area.value.trim(), ...parts].filter(Boolean).join("\n");
    area.dispatchEvent(new Event("input", { bubbles: true }));
  };
  const say = (area, words) => {
    const findings = document.getElementById(`${area.id}-findings`);
    if (findings) findings.textContent = words;
  };
  const take = async (area, files, form) => {
    const parts = { own: [], key: [] };
    const tooLarge = [];
    for (const file of [...files].slice(0, MAX_FILES)) {
      if (file.size > MAX_FILE_BYTES) { tooLarge.push(file.name); continue; }
      const text = asText(new Uint8Array(await file.arrayBuffer()), file.name);
      (form && isKey(text, file.name) ? parts.key : parts.own).push(text);
    }
    place(area, parts.own, !form);
    if (form) place(form.querySelector("#private_key"), parts.key, false);
    if (tooLarge.length) say(area, `${tooLarge.join(", ")}: larger than 256 kB, left out.`);
    else if (files.length > MAX_FILES) say(area, `Only the first ${MAX_FILES} files were taken.`);
  };
  const hasFiles = (event) => event.dataTransfer && [...event.dataTransfer.types].includes("Files");
  const dropped = (target, area, form) => {
    for (const kind of ["dragenter", "dragover"]) target.addEventListener(kind, (event) => { if (hasFiles(event)) { event.preventDefault(); event.stopPropagation(); target.classList.add("is-over"); } });
    for (const kind of ["dragleave", "drop"]) target.addEventListener(kind, () => target.classList.remove("is-over"));
    target.addEventListener("drop", (event) => { if (hasFiles(event)) { event.preventDefault(); event.stopPropagation(); take(area, event.dataTransfer.files, form); } });
  };
  document.querySelectorAll("[data-pem]").forEach((field) => {
    const area = field.querySelector("textarea");
    const chooser = field.querySelector("[data-pem-file]");
    // What was chosen reaches the server through the area only.
    chooser.addEventListener("change", async () => { await take(area, chooser.files); chooser.value = ""; });
    dropped(field.querySelector(".pem-drop"), area, null);
  });
  // Anywhere else on the form: keys to KEY, all else to CERT; the check sorts what is mixed.
  document.querySelectorAll("form[data-drop]").forEach((form) => dropped(form, form.querySelector("#certificate"), form));
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-add]");
    if (!button) return;
    event.preventDefault();
    place(document.getElementById("certificate"), [button.dataset.add], false);
  });

  // On a narrow window the tab one is on may be out of sight.
  document.querySelector(".tabs [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

  // A part that asks again and again says what is new, once.
  document.addEventListener("htmx:afterSwap", () => {
    const now = document.querySelector("[data-say]"), said = document.querySelector("[data-said]");
    if (now && said && said.textContent !== now.dataset.say) said.textContent = now.dataset.say;
  });

  // Countdowns: the server wrote the words; here they stay true while the page stands.
  const words = (seconds) => {
    if (seconds <= 0) return "now";
    if (seconds < 60) return `in ${Math.ceil(seconds)} seconds`;
    if (seconds < 7200) { const minutes = Math.floor(seconds / 60); return `in ${minutes} minute${minutes === 1 ? "" : "s"}`; }
    return `in ${Math.floor(seconds / 3600)} hours`;
  };
  const tick = () => document.querySelectorAll("[data-countdown]").forEach((place) => {
    const seconds = (Date.parse(place.dataset.countdown) - Date.now()) / 1000;
    if (seconds < 86400) place.textContent = words(seconds);
  });
  if (document.querySelector("[data-countdown]")) { tick(); setInterval(tick, 5000); }
})();
