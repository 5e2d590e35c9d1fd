// The cells behind a number: seeds, values, seconds, configuration, and the command that makes them again.
"use strict";
(() => {
  const { data, el } = window.mp;
  const dialog = document.getElementById("cells");
  const body = document.getElementById("cells-body");
  let opener = null;

  function open(section, row, column) {
    const table = data.sections[section];
    const entry = table && table.entries.find((each) => each.row === row && each.column === column);
    if (!entry) return;
    document.getElementById("cells-title").replaceChildren(
      el("code", {}, table.rows[row].label), " on ", el("code", {}, `${table.env} ${table.columns[column].name}`));
    body.replaceChildren(summary(table, entry), ...command(entry), cells(table, entry), configuration(entry));
    if (!dialog.open) dialog.showModal();
    body.scrollTop = 0;
  }

  function summary(table, entry) {
    const interval = entry.interval && entry.interval[0] !== null ? `; 95 % interval ${entry.interval.join(" to ")}` : "";
    return el("p", {}, `${table.metric || "score"} ${entry.text}${interval}. ${entry.note}`);
  }

  function command(entry) {
    if (!entry.command) return [el("p", { class: "fine" }, `How to make it again: ${entry.unproven}.`)];
    const text = el("code", {}, entry.command);
    const copy = el("button", {
      type: "button",
      onclick: async () => {
        try {
          await navigator.clipboard.writeText(entry.command);
          copy.textContent = "copied";
        } catch {
          getSelection().selectAllChildren(text);
          copy.textContent = "selected";
        }
      },
    }, "copy");
    const made = entry.planned
      ? "Its plan has the keys of these cells: it makes the same ones."
      : "Made from the records: it was not planned.";
    const proof = entry.unproven ? `Careful: ${entry.unproven}.` : made;
    return [el("h3", {}, "Make it again"), el("pre", { tabindex: 0 }, text), el("p", { class: "fine" }, copy, " ", proof)];
  }

  function cells(table, entry) {
    const heading = ["seed", "status", ...table.metrics, "seconds", "cell"];
    const line = ([seed, status, metrics, seconds, key, reason]) => el("tr", {},
      el("th", { scope: "row" }, String(seed)),
      el("td", {}, reason ? `${status}: ${reason}` : status),
      ...table.metrics.map((_, at) => el("td", { class: "number" }, metrics[at] === null || metrics[at] === undefined ? "–" : String(metrics[at]))),
      el("td", { class: "number" }, String(seconds)),
      el("td", {}, el("code", {}, key)));
    return el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Cells" },
      el("table", {},
        el("thead", {}, el("tr", {}, ...heading.map((name) => el("th", { scope: "col" }, name)))),
        el("tbody", {}, ...entry.cells.map(line))));
  }

  function configuration(entry) {
    return el("details", {}, el("summary", {}, "Configuration"), el("pre", { tabindex: 0 }, JSON.stringify(entry.config, null, 1)));
  }

  /** The address names what is open, so that a number can be linked to. */
  function follow() {
    const found = /^#cells-(\d+)-(\d+)-(\d+)$/.exec(location.hash);
    if (found) open(...found.slice(1).map(Number));
    else if (dialog.open) dialog.close();
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest && event.target.closest("td.number a");
    if (link) opener = link;
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("close", () => {
    if (location.hash.startsWith("#cells-")) history.replaceState(null, "", location.pathname + location.search);
    if (opener) opener.focus();
    opener = null;
  });
  window.addEventListener("hashchange", follow);
  follow();
})();
