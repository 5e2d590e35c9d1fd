// Looks that all parts of a page share: elements, colours, the theme of plots. Text becomes text nodes, never markup.
"use strict";
window.mp = (() => {
  const data = window.mpobenchData;

  /** A name that plots can use as a key: Vega groups by properties of plain objects, which have some of their own. */
  const safe = (name) => (name in {} ? `\u2060${name}` : name);
  for (const section of data.sections) {
    for (const row of section.rows) row.label = safe(row.label);
    for (const column of section.columns) [column.name, column.besides] = [safe(column.name), safe(column.besides)];
    for (const curve of section.budget) [curve.objective, curve.corruption] = [safe(curve.objective), safe(curve.corruption)];
  }

  const dark = window.matchMedia("(prefers-color-scheme: dark)");

  /** An element with attributes and children; strings become text. */
  function el(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
      else if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
    }
    made.append(...children.filter((child) => child !== null && child !== undefined));
    return made;
  }

  /** Okabe and Ito's colours, which the colour-blind tell apart; the first follows the theme. */
  const colours = () => [dark.matches ? "#f2f2f2" : "#000000", "#d55e00", dark.matches ? "#4da3dd" : "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];
  const dashes = [[], [6, 2], [1.5, 1.5], [6, 2, 1.5, 2]];

  /** Objectives of the whole page in one order, so that each has one look everywhere. */
  const names = [...new Set(data.sections.flatMap((section) => section.rows.map((row) => row.label)))];
  const look = (name) => {
    const at = names.indexOf(name);
    return { colour: colours()[at % 7], dash: dashes[at % dashes.length] };
  };

  /** Colour and dash scales of Vega-Lite for some objectives. */
  const scales = (shown) => ({
    colour: { domain: shown, range: shown.map((name) => look(name).colour) },
    dash: { domain: shown, range: shown.map((name) => look(name).dash) },
  });

  function css(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  /** The theme of plots, from the page's own colours. */
  function config() {
    const text = css("--text"), faint = css("--faint"), line = css("--line");
    const axis = { labelColor: text, titleColor: text, gridColor: line, domainColor: faint, tickColor: faint, labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal", labelLimit: 160 };
    return {
      background: null, font: "system-ui, sans-serif",
      axis, legend: { labelColor: text, titleColor: text, labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal" },
      view: { stroke: null }, title: { color: text }, text: { color: text }, rule: { color: faint },
      range: { category: colours() },
    };
  }

  /** Embeds a specification; styles come from the page's own file, and expressions are interpreted, not compiled. */
  async function embed(place, spec, mode = "vega-lite") {
    const made = await window.vegaEmbed(place, spec, {
      mode, ast: true, renderer: "svg", actions: false, defaultStyle: false, config: config(),
      tooltip: { disableDefaultStyle: true },
    });
    return made;
  }

  return { data, safe, dark, el, look, scales, names, embed, css };
})();
