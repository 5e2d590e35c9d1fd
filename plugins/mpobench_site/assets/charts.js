// Plots of a table. Each is drawn when it comes near the screen, and again when filters or the theme change.
"use strict";
(() => {
  const { data, el, scales, embed, css } = window.mp;
  const line = { type: "line", strokeWidth: 2, clip: true };
  const known = (value) => value !== null && value !== undefined;

  /** Colour and dash of objectives; the buttons above the plots are the legend. */
  function looks(rows, shown) {
    const labels = rows.filter((_, at) => shown.rows.has(at)).map((row) => row.label);
    const { colour, dash } = scales(labels);
    return {
      color: { field: "objective", type: "nominal", scale: colour, legend: null },
      strokeDash: { field: "objective", type: "nominal", scale: dash, legend: null },
      detail: { field: "objective" },
    };
  }

  const tooltip = (...fields) => fields.map(([field, title, format]) => ({ field, title, type: format ? "quantitative" : "nominal", format }));
  const MOST_BANDS = 6; // objectives up to which intervals are drawn: those of more would hide each other
  const base = (values, height) => ({ $schema: undefined, data: { values }, width: "container", height, autosize: { type: "fit", contains: "padding", resize: true } });

  /** A dagger beside the means of seeds that finished, where others did not; no layer without any. */
  function daggers(all, x, rest) {
    const values = all.filter((value) => value.note);
    const encoding = { x, ...rest, tooltip: tooltip(["objective"], ["note", "seeds"]) };
    return values.length ? [{ data: { values }, mark: { type: "text", text: "†", dx: 8, dy: -4, fontSize: 11 }, encoding }] : [];
  }
  const note = (entry) => (entry.note ? { note: entry.note } : {});

  const few = (shown) => shown.rows.size <= MOST_BANDS;
  const rules = (shown, encoding) => (few(shown) ? [{ mark: { type: "rule", opacity: 0.6 }, encoding }] : []);
  const bands = (shown, encoding) => (few(shown) ? [{ mark: { type: "area", opacity: 0.14 }, encoding }] : []);

  const charts = {
    scores(section, shown) {
      const values = [], seeds = [];
      for (const entry of section.entries) {
        if (!shown.rows.has(entry.row) || !shown.columns.has(entry.column) || entry.mean === null) continue;
        const objective = section.rows[entry.row].label, corruption = section.columns[entry.column].name;
        const [low, high] = entry.interval || [];
        values.push({ objective, corruption, mean: entry.mean, low: known(low) ? low : entry.mean, high: known(high) ? high : entry.mean, text: entry.text, ...note(entry) });
        for (const cell of entry.cells) if (cell[1] === "ok" && known(cell[2][0])) seeds.push({ objective, corruption, value: cell[2][0], seed: cell[0] });
      }
      if (!values.length) return null;
      const order = section.rows.filter((_, at) => shown.rows.has(at)).map((row) => row.label);
      const columns = section.columns.filter((_, at) => shown.columns.has(at)).map((column) => column.name);
      const total = new Map(order.map((name) => [name, values.filter((value) => value.objective === name)]));
      const mean = (name) => total.get(name).reduce((sum, value) => sum + value.mean, 0) / Math.max(1, total.get(name).length);
      order.sort((a, b) => (section.higher ? mean(b) - mean(a) : mean(a) - mean(b)));
      const y = { field: "objective", type: "nominal", sort: order, title: null, axis: { grid: true, tickBand: "extent", labelLimit: 130 } };
      const yOffset = { field: "corruption", type: "nominal", sort: columns, scale: { paddingOuter: 0.3 } };
      const x = { type: "quantitative", title: section.metric, scale: { zero: false } };
      const color = { field: "corruption", type: "nominal", sort: columns, title: "corruption", legend: { orient: "top", columns: 4, symbolType: "circle" } };
      const levels = Object.entries(section.levels).map(([name, value]) => ({ name, value }));
      const marks = levels.length ? [
          { data: { values: levels }, mark: { type: "rule", strokeDash: [4, 3] }, encoding: { x: { field: "value", type: "quantitative" } } },
          { data: { values: levels }, mark: { type: "text", baseline: "bottom", dy: -4, fontSize: 11, color: css("--faint") }, encoding: { x: { field: "value", type: "quantitative" }, y: { value: 0 }, text: { field: "name" } } },
      ] : [];
      return {
        ...base(values, Math.max(120, order.length * (columns.length * 9 + 12) + 30)),
        layer: [
          ...marks,
          { data: { values: seeds }, mark: { type: "tick", thickness: 1, size: 6, opacity: 0.45 }, encoding: { x: { ...x, field: "value" }, y, yOffset, color, tooltip: tooltip(["objective"], ["corruption"], ["seed"], ["value", section.metric, ".5~g"]) } },
          { mark: { type: "rule", strokeWidth: 2 }, encoding: { x: { ...x, field: "low" }, x2: { field: "high" }, y, yOffset, color } },
          { mark: { type: "point", filled: true, size: 46, opacity: 1 }, encoding: { x: { ...x, field: "mean" }, y, yOffset, color, tooltip: tooltip(["objective"], ["corruption"], ["text", section.metric], ["low", "from", ".5~g"], ["high", "to", ".5~g"]) } },
          ...daggers(values, { ...x, field: "mean" }, { y, yOffset, color }),
        ],
      };
    },

    noise(section, shown) {
      const groups = new Map();
      section.columns.forEach((column) => groups.set(column.besides, (groups.get(column.besides) || 0) + 1));
      const values = [];
      for (const entry of section.entries) {
        const column = section.columns[entry.column];
        if (groups.get(column.besides) < 2 || !shown.rows.has(entry.row) || entry.mean === null) continue;
        const [low, high] = entry.interval || [];
        const share = 100 * column.noise;
        values.push({ objective: section.rows[entry.row].label, data: column.besides, share, mean: entry.mean, low: known(low) ? low : entry.mean, high: known(high) ? high : entry.mean, ...note(entry) });
      }
      if (!values.length) return null;
      const several = new Set(values.map((value) => value.data)).size > 1;
      const x = { field: "share", type: "quantitative", title: "labels flipped, %", axis: { tickMinStep: 5 } };
      const y = (field) => ({ field, type: "quantitative", title: section.metric, scale: { zero: false } });
      const look = looks(section.rows, shown);
      const group = several ? [{ field: "objective" }, { field: "data" }] : [{ field: "objective" }];
      return {
        ...base(values, 300),
        layer: [
          ...rules(shown, { x, y: y("low"), y2: { field: "high" }, color: look.color }),
          { mark: { ...line, point: { size: 40 } }, encoding: { x, y: y("mean"), ...look, detail: group, tooltip: tooltip(["objective"], ["data", "besides"], ["share", "labels flipped, %", ".3~g"], ["mean", section.metric, ".5~g"]) } },
          ...daggers(values, x, { y: y("mean"), color: look.color }),
        ],
      };
    },

    curves(section, shown, choice) {
      const { quantities, series } = section.curves;
      const at = quantities.indexOf(choice.quantity), values = [];
      for (const each of series) {
        if (!shown.rows.has(each.row) || String(each.column) !== choice.column || !each.values[at]) continue;
        const [means, errors] = each.values[at];
        means.forEach((mean, epoch) => values.push({
          objective: section.rows[each.row].label, epoch: epoch + 1, mean, stage: each.stages[epoch] || "",
          low: known(mean) ? mean - (errors[epoch] || 0) : null, high: known(mean) ? mean + (errors[epoch] || 0) : null,
        }));
      }
      if (!values.length) return null;
      const x = { field: "epoch", type: "quantitative", title: "epoch", axis: { format: "d", tickCount: Math.min(12, new Set(values.map((value) => value.epoch)).size - 1 || 1), tickMinStep: 1 }, scale: { nice: false } };
      const y = (field) => ({ field, type: "quantitative", title: choice.quantity, scale: { zero: false } });
      const look = looks(section.rows, shown);
      return {
        ...base(values, 300),
        layer: [
          ...bands(shown, { x, y: y("low"), y2: { field: "high" }, color: look.color, detail: look.detail }),
          { mark: { ...line, point: { size: 16 } }, encoding: { x, y: y("mean"), ...look, tooltip: tooltip(["objective"], ["stage"], ["epoch", "epoch", "d"], ["mean", choice.quantity, ".4~g"]) } },
        ],
      };
    },

    profiles(section, shown) {
      if (!section.profiles.curves) return null;
      const { thresholds, curves } = section.profiles, values = [];
      const kept = curves.filter((curve) => shown.rows.has(curve.row));
      for (const curve of kept) {
        thresholds.forEach((score, at) => values.push({ objective: section.rows[curve.row].label, score, share: curve.shares[at], low: curve.low[at], high: curve.high[at] }));
      }
      if (!values.length) return null;
      const x = { field: "score", type: "quantitative", title: "normalised score τ", scale: { nice: false } };
      const y = (field) => ({ field, type: "quantitative", title: "share of runs above τ", scale: { domain: [0, 1] } });
      const look = looks(section.rows, shown);
      return {
        ...base(values, 300),
        layer: [...bands(shown, { x, y: y("low"), y2: { field: "high" }, color: look.color, detail: look.detail }), { mark: line, encoding: { x, y: y("share"), ...look, tooltip: tooltip(["objective"], ["score", "τ", ".4~g"], ["share", "share above", ".2f"]) } }],
      };
    },

    budget(section, shown, choice) {
      const labels = new Set(section.rows.filter((_, at) => shown.rows.has(at)).map((row) => row.label));
      const values = section.budget.filter((curve) => `${curve.corruption}, ${curve.scale}` === choice.dataset && labels.has(curve.objective)).flatMap((curve) =>
        curve.points.map(([trials, mean, low, high]) => ({ objective: curve.objective, trials, mean, low, high })));
      if (!values.length) return null;
      const x = { field: "trials", type: "quantitative", title: "trials, of which the best counts", scale: { type: "log", base: 2, nice: false }, axis: { format: "d" } };
      const y = (field) => ({ field, type: "quantitative", title: section.budget[0].metric, scale: { zero: false } });
      const look = looks(section.rows, shown);
      return {
        ...base(values, 300),
        layer: [
          ...rules(shown, { x, y: y("low"), y2: { field: "high" }, color: look.color }),
          { mark: { ...line, point: { size: 40 } }, encoding: { x, y: y("mean"), ...look, tooltip: tooltip(["objective"], ["trials", "trials", "d"], ["mean", "score", ".5~g"]) } },
        ],
      };
    },
  };

  /** Whether a table has what a plot shows. */
  const has = {
    scores: (section) => section.entries.some((entry) => entry.mean !== null),
    noise: (section) => {
      const besides = section.columns.map((column) => column.besides);
      return besides.some((each, at) => besides.indexOf(each) !== at);
    },
    curves: (section) => section.curves.quantities.length > 0,
    profiles: (section) => Boolean(section.profiles.curves && section.profiles.curves.length),
    budget: (section) => section.budget.length > 0,
  };

  /** The choices of a plot's own controls. */
  const choices = {
    quantity: (section) => section.curves.quantities.map((name) => [name, name]),
    column: (section) => [...new Set(section.curves.series.map((each) => each.column))].map((at) => [String(at), section.columns[at].name]),
    dataset: (section) => [...new Set(section.budget.map((curve) => `${curve.corruption}, ${curve.scale}`))].map((name) => [name, name]),
  };

  /** Fills a plot's own controls; calls back when one changes. */
  function controls(figure, section, changed) {
    for (const select of figure.querySelectorAll("[data-choice]")) {
      const offered = choices[select.dataset.choice](section);
      select.append(...offered.map(([value, words]) => el("option", { value, selected: value === "margin" }, words)));
      select.addEventListener("change", changed);
    }
  }

  const chosen = (figure) => Object.fromEntries([...figure.querySelectorAll("[data-choice]")].map((select) => [select.dataset.choice, select.value]));

  /** The numbers of a plot as a table, for those who cannot see it. */
  function numbers(spec) {
    const values = spec ? spec.data.values : [];
    const names = [...new Set(values.flatMap(Object.keys))].filter((name) => name !== "text");
    const cell = (value) => el("td", {}, value === null || value === undefined ? "–" : typeof value === "number" ? String(Number(value.toPrecision(5))) : String(value));
    return el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Numbers of the plot" },
      el("table", {},
        el("thead", {}, el("tr", {}, ...names.map((name) => el("th", { scope: "col" }, name)))),
        el("tbody", {}, ...values.map((value) => el("tr", {}, ...names.map((name) => cell(value[name])))))));
  }

  function start(figure, number) {
    const section = data.sections[number], kind = figure.dataset.chart, place = figure.querySelector(".plot");
    if (!has[kind](section)) {
      figure.remove();
      return;
    }
    figure.hidden = false;
    let near = false, stale = true, running = false, view = null, spec = null;
    const details = el("details", { class: "numbers" }, el("summary", {}, "Numbers"));
    figure.append(details);
    details.addEventListener("toggle", () => {
      details.querySelectorAll("div").forEach((old) => old.remove());
      if (details.open) details.append(numbers(spec));
    });

    async function draw() {
      stale = true;
      if (!near || running) return;
      running = true;
      while (stale) {
        stale = false;
        spec = charts[kind](section, window.mp.shown(number), chosen(figure));
        if (view) view.finalize();
        view = null;
        if (spec) {
          spec.description = figure.querySelector("h3").textContent;
          view = await embed(place, spec);
        } else {
          place.replaceChildren(el("p", { class: "fine" }, "Nothing to draw: the filters leave nothing."));
        }
        if (details.open) {
          details.querySelectorAll("div").forEach((old) => old.remove());
          details.append(numbers(spec));
        }
      }
      running = false;
    }

    controls(figure, section, draw);
    new IntersectionObserver((entries, observer) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      near = true;
      observer.disconnect();
      draw();
    }, { rootMargin: "400px" }).observe(figure);
    document.addEventListener("mp-filter", draw);
    window.mp.dark.addEventListener("change", draw);
  }

  for (const figure of document.querySelectorAll("figure[data-chart]")) start(figure, Number(figure.closest("[data-section]").dataset.section));
})();
