// Objectives: what they are, and the field of their gradients with the path that training took through it.
"use strict";
(() => {
  const { data, el, embed, css } = window.mp;
  const CELLS = 64;
  const SIZE = 250;

  /** Text with ``code`` in it, as nodes. */
  function marked(text) {
    return text.split("``").map((part, at) => (at % 2 ? el("code", {}, part) : part));
  }

  /** A citation whose arXiv numbers lead to the paper. */
  function cited(text) {
    return text.split(/(arXiv:\d{4}\.\d{4,5})/).map((part) => {
      const found = /^arXiv:(\d{4}\.\d{4,5})$/.exec(part);
      return found ? el("a", { href: `https://arxiv.org/abs/${found[1]}`, rel: "noreferrer" }, part) : part;
    });
  }

  function decoded(text) {
    const bytes = atob(text), grid = new Array(bytes.length);
    for (let at = 0; at < bytes.length; at += 1) grid[at] = bytes.charCodeAt(at);
    return grid;
  }

  function spec(field, objective, [low, high]) {
    const arrows = [], steps = Math.sqrt(field.angles.length), step = (high - low) / steps;
    field.angles.forEach((angle, at) => {
      if (angle === null) return;
      arrows.push({ x: low + ((at % steps) + 0.5) * step, y: low + (Math.floor(at / steps) + 0.5) * step, angle: 90 - angle });
    });
    const path = objective.path.map(([x, y], at) => ({ x, y, last: at === objective.path.length - 1 }));
    const inside = path.filter(({ x, y }) => x >= low && x <= high && y >= low && y <= high);
    const marks = [
      { type: "image", from: { data: "grid" }, encode: { update: { x: { value: 0 }, y: { value: 0 }, width: { signal: "width" }, height: { signal: "height" }, image: { field: "image" }, smooth: { value: true }, aspect: { value: false } } } },
      { type: "rule", encode: { update: { x: { scale: "x", value: low }, y: { scale: "y", value: low }, x2: { scale: "x", value: high }, y2: { scale: "y", value: high }, stroke: { value: "white" }, strokeDash: { value: [4, 4] }, opacity: { value: 0.8 } } } },
      { type: "symbol", from: { data: "arrows" }, encode: { update: { shape: { value: "arrow" }, x: { scale: "x", field: "x" }, y: { scale: "y", field: "y" }, angle: { field: "angle" }, size: { value: 130 }, fill: { value: "white" }, opacity: { value: 0.75 } } } },
      { type: "line", from: { data: "path" }, clip: true, encode: { update: { x: { scale: "x", field: "x" }, y: { scale: "y", field: "y" }, stroke: { value: "#d55e00" }, strokeWidth: { value: 2.5 } } } },
      { type: "symbol", from: { data: "inside" }, encode: { update: { x: { scale: "x", field: "x" }, y: { scale: "y", field: "y" }, size: { signal: "datum.last ? 90 : 14" }, fill: { value: "#d55e00" }, stroke: { value: "white" }, strokeWidth: { value: 1 } } } },
    ];
    if (field.reference) {
      marks.push({ type: "symbol", encode: { update: { shape: { value: "cross" }, x: { scale: "x", value: field.reference[0] }, y: { scale: "y", value: field.reference[1] }, size: { value: 90 }, fill: { value: "white" }, stroke: { value: "black" } } } });
    }
    return {
      $schema: undefined, width: SIZE, height: SIZE, padding: 4, autosize: { type: "pad" },
      description: `Gradient of ${objective.label} over the two log-probabilities`,
      data: [
        { name: "raw", values: [{ width: CELLS, height: CELLS, values: decoded(field.grid) }] },
        { name: "grid", source: "raw", transform: [{ type: "heatmap", color: { expr: "scale('size', datum.$value / 255 * most)" }, opacity: 1 }] },
        { name: "arrows", values: arrows }, { name: "path", values: path }, { name: "inside", values: inside },
      ],
      signals: [{ name: "most", value: field.most || 1 }],
      scales: [
        { name: "x", type: "linear", domain: [low, high], range: "width", nice: false, zero: false },
        { name: "y", type: "linear", domain: [low, high], range: "height", nice: false, zero: false },
        { name: "size", type: "linear", domain: [0, field.most || 1], range: { scheme: "viridis" }, zero: true },
      ],
      axes: [
        { orient: "bottom", scale: "x", title: "log π(τ_w), chosen", tickCount: 5 },
        { orient: "left", scale: "y", title: "log π(τ_l), rejected", tickCount: 5 },
      ],
      legends: [{ fill: "size", type: "gradient", orient: "top", direction: "horizontal", gradientLength: SIZE, gradientThickness: 8, tickCount: 4, format: ".3~g" }],
      marks,
    };
  }

  function card(objective, span) {
    const plot = el("div", { class: "plot" });
    const parts = [el("h4", {}, el("code", {}, objective.label), objective.summary ? ` ${objective.summary}` : "")];
    if (objective.problem) parts.push(el("p", { class: "fine" }, `Formula and field are not known here: ${objective.problem}.`));
    const fields = objective.fields || [];
    const moment = fields.length > 1 ? el("select", {}, ...fields.map((field, at) => el("option", { value: at, selected: at === 1 }, `${Math.round(100 * field.progress)} %`))) : null;
    const text = el("div", { class: "words" },
      ...(objective.text || []).map((part) => el("p", {}, ...marked(part))),
      objective.values && Object.keys(objective.values).length
        ? el("p", {}, "Here: ", el("code", {}, Object.entries(objective.values).map(([name, value]) => `${name}=${value}`).join(", "))) : null,
      objective.references || objective.citation ? el("p", { class: "fine" }, "Paper: ", ...cited(objective.references || objective.citation)) : null,
      objective.source ? el("p", { class: "fine" }, `From ${objective.source}.`) : null);
    if (moment) parts.push(el("label", { class: "choices" }, "share of the training that is done ", moment));
    const made = el("article", { class: "field", "data-row-label": objective.label }, ...parts, plot, text);
    if (!fields.length) return made;
    let drawn = null, near = false;
    const draw = async () => {
      if (!near) return;
      if (drawn) drawn.finalize();
      drawn = await embed(plot, spec(fields[moment ? Number(moment.value) : 0], objective, span), "vega");
    };
    if (moment) moment.addEventListener("change", draw);
    window.mp.dark.addEventListener("change", draw);
    new IntersectionObserver((entries, observer) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      observer.disconnect();
      near = true;
      draw();
    }, { rootMargin: "400px" }).observe(made);
    return made;
  }

  for (const section of document.querySelectorAll("section.table")) {
    const number = Number(section.dataset.section), { span, objectives } = data.sections[number].fields;
    const cards = objectives.map((objective) => card(objective, span));
    section.querySelector(".field-cards").append(...cards);
    const follow = () => {
      const { rows } = window.mp.shown(number);
      cards.forEach((each, at) => { each.hidden = !rows.has(at); });
    };
    document.addEventListener("mp-filter", follow);
    follow();
  }
})();
