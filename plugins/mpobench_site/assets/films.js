// Rollouts in brax's own viewer, side by side and in step. Its libraries are loaded when somebody wants to see them.
"use strict";
(() => {
  const { data } = window.mp;
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)");

  const loaded = new Map();
  function script(source) {
    if (!loaded.has(source)) {
      loaded.set(source, new Promise((resolve, reject) => {
        const made = document.createElement("script");
        made.src = source;
        made.onload = resolve;
        made.onerror = () => reject(new Error(`${source} cannot be loaded`));
        document.head.append(made);
      }));
    }
    return loaded.get(source);
  }

  /** A panel that takes the viewer's controls and shows none: the page has its own, which a keyboard reaches. */
  class NoPanel {
    constructor() {
      this.domElement = document.createElement("div");
      this.domElement.hidden = true;
      const self = new Proxy(this, { get: (target, name) => (name in target ? target[name] : () => self) });
      return self;
    }
  }

  function viewer(place, film, Viewer) {
    const made = new Viewer(place, film);
    const { shadow } = made.dirLight;
    shadow.mapSize.set(1024, 1024); // sixteen times less than the viewer's own: three run at once, on phones too
    if (shadow.map) shadow.map.dispose();
    shadow.map = null;
    made.camera.followDistance = 3.8;
    made.camera.position.set(1.6, 3.2, 1.7);
    made.animator.setLoop(false);
    made.animator.pause();
    return made;
  }

  function start(section) {
    const number = Number(section.dataset.film);
    const [load, play, time, clock] = ["load", "play", "time", "clock"].map((name) => section.querySelector(`[data-film-${name}]`));
    load.addEventListener("click", async () => {
      load.disabled = true;
      clock.textContent = "loading …";
      try {
        await Promise.all(["assets/three.js", "assets/brax.js", `data/${data.name}.films.js`].map(script));
        THREE.Object3D.DEFAULT_UP = THREE.Object3D.DEFAULT_UP || THREE.Object3D.DefaultUp;
        const films = window.mpobenchFilms[number].films;
        const Viewer = window.BraxViewer(THREE, THREE.OrbitControls, NoPanel);
        show(films.map(({ film }, at) => [film, viewer(section.querySelector(`[data-viewer="${at}"]`), film, Viewer)]));
      } catch (error) {
        clock.textContent = `The viewer cannot run here (${error.message}): it needs WebGL.`;
      }
    });

    function show(films) {
      const end = Math.max(...films.map(([film]) => (film.states.x.length - 1) * film.opt.timestep));
      const earned = [...section.querySelectorAll("[data-earned]")];
      let now = 0, last = null;
      time.max = String(end);
      load.remove();
      for (const control of [play, time.parentElement]) control.hidden = false;

      function seek(seconds) {
        now = Math.max(0, Math.min(end, seconds));
        time.value = String(now);
        clock.textContent = `${now.toFixed(1)} s of ${end.toFixed(1)} s`;
        films.forEach(([film, shown], at) => {
          const frame = Math.min(film.states.x.length - 1, Math.round(now / film.opt.timestep));
          shown.animator.seek(frame * film.opt.timestep);
          const over = film.ended && frame === film.states.x.length - 1;
          earned[at].textContent = `return so far ${Math.round(film.earned[frame])}${over ? ", and it fell" : ""}`;
        });
      }

      function tick(stamp) {
        if (play.getAttribute("aria-pressed") !== "true") {
          last = null;
          return;
        }
        if (last !== null) seek(now >= end ? 0 : now + (stamp - last) / 1000);
        last = stamp;
        requestAnimationFrame(tick);
      }

      function run(on) {
        play.setAttribute("aria-pressed", String(on));
        play.textContent = on ? "Pause" : "Play";
        if (on) requestAnimationFrame(tick);
      }

      play.addEventListener("click", () => run(play.getAttribute("aria-pressed") !== "true"));
      time.addEventListener("input", () => {
        run(false);
        seek(Number(time.value));
      });
      seek(0);
      run(!calm.matches);
      play.focus();
    }
  }

  document.querySelectorAll("section.films").forEach(start);
})();
