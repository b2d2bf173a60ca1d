"use strict";
// Everything here is a convenience: without a script the report shows the same, only without filters and buttons.
(() => {
  const all = (selector) => Array.from(document.querySelectorAll(selector));
  const root = document.documentElement;
  const remembered = (value) => {
    try {
      if (value) localStorage.setItem("readiness-theme", value);
      return localStorage.getItem("readiness-theme");
    } catch {
      return null; // a file may have no storage
    }
  };

  const theme = remembered();
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;

  const actions = {
    theme() {
      const dark = getComputedStyle(root).colorScheme.trim() === "dark";
      root.dataset.theme = dark ? "light" : "dark";
      remembered(root.dataset.theme);
    },
    print() {
      window.print();
    },
    unfold(button) {
      const findings = all(".finding");
      const open = findings.some((finding) => !finding.open);
      for (const finding of findings) finding.open = open;
      button.textContent = open ? "Collapse all" : "Expand all";
    },
  };
  for (const button of all("[data-do]")) {
    button.hidden = false;
    button.addEventListener("click", () => actions[button.dataset.do](button));
  }
  for (const hidden of all(".tools, .filters")) hidden.hidden = false;

  const copy = async (text, block) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const range = document.createRange();
      range.selectNodeContents(block);
      const selection = window.getSelection();
      selection.removeAllRanges();
      selection.addRange(range);
      document.execCommand("copy");
      selection.removeAllRanges();
    }
  };
  for (const block of all("pre[data-copy]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Copy";
    button.setAttribute("aria-label", `Copy: ${block.dataset.copy}`);
    button.addEventListener("click", async () => {
      await copy(block.textContent, block);
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = "Copy"), 1500);
    });
    block.after(button);
  }

  const reveal = () => {
    let id = "";
    try {
      id = decodeURIComponent(location.hash.slice(1));
    } catch {
      return;
    }
    const target = id && document.getElementById(id);
    if (!target) return;
    if (target.tagName === "DETAILS") target.open = true;
    if (target.tagName === "TR" && target.hidden && form) {
      form.reset();
      filter();
    }
    target.scrollIntoView();
  };

  const form = document.querySelector(".filters");
  const rows = all("table.all tbody tr");
  const filter = () => {
    const wanted = new FormData(form);
    const text = wanted.get("text").trim().toLowerCase();
    let shown = 0;
    for (const row of rows) {
      const fits = ["status", "component", "severity"].every((key) => !wanted.get(key) || row.dataset[key] === wanted.get(key));
      row.hidden = !(fits && (!text || row.textContent.toLowerCase().includes(text)));
      shown += row.hidden ? 0 : 1;
    }
    form.querySelector("output").textContent = shown === rows.length ? `${shown} checks` : `${shown} of ${rows.length} checks`;
  };
  if (form) {
    form.addEventListener("input", filter);
    form.addEventListener("submit", (event) => event.preventDefault());
    filter();
  }

  window.addEventListener("hashchange", reveal);
  reveal();

  let folded = [];
  window.addEventListener("beforeprint", () => {
    folded = all("details:not([open])");
    for (const details of folded) details.open = true;
  });
  window.addEventListener("afterprint", () => {
    for (const details of folded) details.open = false;
  });
})();
