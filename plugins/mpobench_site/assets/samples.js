// Samples of answers: those of one prompt side by side.
"use strict";
(() => {
  const { data, el } = window.mp;
  for (const place of document.querySelectorAll("section.samples")) {
    const number = Number(place.closest("[data-section]").dataset.section), section = data.sections[number], { prompts, seed } = section.samples;
    if (!prompts) {
      place.remove();
      continue;
    }
    place.hidden = false;
    place.querySelector("[data-seed]").textContent = String(seed);
    const select = place.querySelector("select"), answers = place.querySelector(".answers");
    select.append(...prompts.map(({ prompt }, at) => el("option", { value: at }, prompt.length > 90 ? `${prompt.slice(0, 90)}…` : prompt)));
    const draw = () => {
      const { rows, columns } = window.mp.shown(number), { prompt, answers: given } = prompts[Number(select.value)];
      answers.replaceChildren(
        el("blockquote", {}, prompt),
        el("dl", {}, ...given.filter(([row, column]) => rows.has(row) && columns.has(column)).map(([row, column, score, answer]) => el("div", {},
          el("dt", {}, el("code", {}, section.rows[row].label), " on ", el("code", {}, section.columns[column].name), `: ${score}`),
          el("dd", {}, answer)))));
    };
    select.addEventListener("change", draw);
    document.addEventListener("mp-filter", draw);
    draw();
  }
})();
