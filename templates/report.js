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

  // One form filters one list: the findings, or all checks. Groups without a hit go, groups that fold open.
  const keys = ["severity", "component", "status"];
  const lists = all("form.filters").map((form) => {
    const rows = all(form.dataset.of);
    const groups = Array.from(new Set(rows.map((row) => row.closest("[data-group]")))).filter(Boolean);
    const folds = groups.filter((group) => group.tagName === "DETAILS");
    let before = null; // which groups were open before somebody filtered
    const filter = () => {
      const wanted = new FormData(form);
      const text = wanted.get("text").trim().toLowerCase();
      const active = Boolean(text) || keys.some((key) => wanted.get(key));
      let shown = 0;
      for (const row of rows) {
        const fits = keys.every((key) => !wanted.get(key) || row.dataset[key] === wanted.get(key));
        row.hidden = !(fits && (!text || row.textContent.toLowerCase().includes(text)));
        shown += row.hidden ? 0 : 1;
      }
      for (const group of groups) group.hidden = !rows.some((row) => !row.hidden && group.contains(row));
      if (active && !before) before = folds.map((group) => group.open);
      folds.forEach((group, index) => {
        if (active) group.open = true;
        else if (before) group.open = before[index];
      });
      if (!active) before = null;
      const what = `${form.dataset.what}${rows.length === 1 ? "" : "s"}`;
      form.querySelector("output").textContent = shown === rows.length ? `${shown} ${what}` : `${shown} of ${rows.length} ${what}`;
    };
    form.addEventListener("input", filter);
    form.addEventListener("submit", (event) => event.preventDefault());
    filter();
    return { form, rows, filter };
  });

  const reveal = () => {
    let id = "";
    try {
      id = decodeURIComponent(location.hash.slice(1));
    } catch {
      return;
    }
    const target = id && document.getElementById(id);
    if (!target) return;
    for (const { form, rows, filter } of lists) {
      if (target.hidden && rows.includes(target)) {
        form.reset();
        filter();
      }
    }
    for (let fold = target.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
    target.scrollIntoView();
  };

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
