// Tables: sorted by their headings, filtered by the form. Filters tell the rest of the page what is shown.
"use strict";
(() => {
  const { el } = window.mp;

  /** Makes every heading of a table a button that sorts it. */
  function sortable(table) {
    const headings = [...table.tHead.rows[0].cells];
    headings.forEach((heading, at) => {
      const button = el("button", { type: "button", class: "sort" });
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => {
        const first = heading.dataset.sort === "down" ? "descending" : "ascending";
        const second = first === "descending" ? "ascending" : "descending";
        const order = heading.getAttribute("aria-sort") === first ? second : first;
        headings.forEach((other) => other.removeAttribute("aria-sort"));
        heading.setAttribute("aria-sort", order);
        sort(table.tBodies[0], at, order === "ascending" ? 1 : -1, heading.dataset.sort === "text");
      });
    });
  }

  /** Sorts rows by one cell; what has no value comes last either way. */
  function sort(body, at, way, byText) {
    const value = (row) => (byText ? row.cells[at].textContent : row.cells[at].dataset.value);
    const rows = [...body.rows].sort((first, second) => {
      const [a, b] = [value(first), value(second)];
      if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
      return way * (byText ? a.localeCompare(b, "en", { numeric: true }) : a - b);
    });
    body.append(...rows);
  }

  /** Hides what the filters leave out, says how much is left, and tells the plots. */
  function filter(form, tables) {
    const chosen = Object.fromEntries(new FormData(form));
    const wanted = chosen.objective.trim().toLowerCase();
    let shown = 0, all = 0;
    for (const section of tables) {
      const out = ["environment", "evaluator", "scale"].some((name) => chosen[name] && chosen[name] !== section.dataset[name]);
      section.hidden = out;
      const columns = window.mp.data.sections[section.dataset.section].columns;
      for (const cell of section.querySelectorAll("[data-column]")) {
        cell.hidden = Boolean(chosen.corruption) && columns[cell.dataset.column].name !== window.mp.safe(chosen.corruption);
      }
      for (const row of section.querySelectorAll("tbody tr[data-row]")) {
        const name = row.cells[0].textContent.toLowerCase();
        row.hidden = (Boolean(chosen.origin) && row.dataset.origin !== chosen.origin) || !name.includes(wanted);
        all += 1;
        shown += !row.hidden && !out;
      }
    }
    for (const films of document.querySelectorAll(".films")) {
      films.hidden = Boolean(chosen.environment) && chosen.environment !== films.dataset.environment;
    }
    document.getElementById("count").textContent = shown === all ? `${all} rows` : `${shown} of ${all} rows`;
    document.dispatchEvent(new CustomEvent("mp-filter"));
  }

  /** What the filters leave of a table: indices of rows and of columns. */
  window.mp.shown = (number) => {
    const section = document.getElementById(`table-${number}`);
    const rows = [...section.querySelectorAll("tbody tr[data-row]")].filter((row) => !row.hidden).map((row) => Number(row.dataset.row));
    const columns = [...section.querySelectorAll("thead [data-column]")].filter((cell) => !cell.hidden).map((cell) => Number(cell.dataset.column));
    const off = new Set([...section.querySelectorAll(".chip[aria-pressed=false]")].map((chip) => Number(chip.dataset.row)));
    return { rows: new Set(rows.filter((row) => !off.has(row))), columns: new Set(columns) };
  };

  /** Buttons that show and hide one objective in the plots, and are their legend. */
  function chips(section) {
    const rows = window.mp.data.sections[section.dataset.section].rows;
    const place = section.querySelector("[data-chips]");
    const swatches = [];
    rows.forEach((row, at) => {
      const line = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      line.setAttribute("viewBox", "0 0 26 8");
      line.setAttribute("aria-hidden", "true");
      const stroke = document.createElementNS("http://www.w3.org/2000/svg", "line");
      for (const [name, value] of Object.entries({ x1: 0, x2: 26, y1: 4, y2: 4, "stroke-width": 2.5 })) stroke.setAttribute(name, value);
      line.append(stroke);
      swatches.push([stroke, row.label]);
      place.append(el("button", {
        type: "button", class: "chip", "aria-pressed": "true", "data-row": at,
        onclick: (event) => {
          const chip = event.currentTarget;
          chip.setAttribute("aria-pressed", chip.getAttribute("aria-pressed") === "true" ? "false" : "true");
          document.dispatchEvent(new CustomEvent("mp-filter"));
        },
      }, line, row.label));
    });
    if (rows.length > 1) {
      for (const [words, pressed] of [["all", "true"], ["none", "false"]]) {
        place.append(el("button", {
          type: "button", class: "plain",
          onclick: () => {
            place.querySelectorAll(".chip").forEach((chip) => chip.setAttribute("aria-pressed", pressed));
            document.dispatchEvent(new CustomEvent("mp-filter"));
          },
        }, words));
      }
    }
    const paint = () => swatches.forEach(([stroke, label]) => {
      const { colour, dash } = window.mp.look(label);
      stroke.setAttribute("stroke", colour);
      stroke.setAttribute("stroke-dasharray", dash.join(" "));
    });
    paint();
    window.mp.dark.addEventListener("change", paint);
  }

  const tables = [...document.querySelectorAll("section.table")];
  document.querySelectorAll("table.scores").forEach(sortable);
  tables.forEach(chips);
  const form = document.getElementById("filters");
  for (const select of form.querySelectorAll("select")) select.disabled = select.options.length <= 2;
  form.addEventListener("input", () => filter(form, tables));
  form.addEventListener("submit", (event) => event.preventDefault());
  filter(form, tables);
})();
