// Ties it together: state, events, and one frame at a time, only when something changed.

const KEPT = 600; // frame times that are remembered
const DISCS = 10000; // more points than this are drawn by the processor where WebGL is software
const NARROW = 760; // pixels: as in the style
const LISTED = 200; // matches that are listed
const state = { theme: "dark", way: null, off: new Set(), hover: -1, pin: -1, matches: null, flight: null };
const report = (window.thesphere = { ready: false, drawn: false, firstFrame: null, frames: [] });

async function start() {
  setTheme(matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark");
  const carried = byId("data");
  if (typeof DecompressionStream === "undefined") {
    byId("count").textContent = "";
    return showNotice("This browser cannot unpack the page (it lacks DecompressionStream). Any browser since 2023 can.");
  }
  const globe = await unpack(carried.textContent);
  carried.remove(); // the unpacked arrays are enough
  const camera = makeCamera();
  const stage = byId("stage");
  let scene = makeScene(stage, globe);
  report.image = Boolean(scene?.software) && globe.count > DISCS;
  const sort = makeSorter(globe);
  const paintPoints = makePainter(globe);
  const colours = new Uint8Array(globe.count * 4);
  const ways = makeWays(globe);
  const outermost = Math.max(0, globe.shellRadii.length - 1);
  let seen = new Uint32Array(0), asked = false, previous = 0, faced = "", lines = makeLines(), rings = makeLines();

  // The globe stands in the middle of what the panels leave free; the canvas reaches beyond the window for that.
  function arrange() {
    const [left, right] = ["left", "right"].map((id) => byId(id).getBoundingClientRect());
    const [wide, high] = [Math.max(1, innerWidth), Math.max(1, innerHeight)];
    const narrow = wide <= NARROW;
    const ends = byId("right").hidden ? [wide, high] : [right.left, right.top];
    const free = narrow ? [0, wide, left.bottom, ends[1]] : [left.right, ends[0], 0, high];
    const place = (from, to, size) => {
      const middle = Math.max(1, (from + to) / 2);
      const half = Math.max(middle, size - middle);
      return [middle - half, 2 * half];
    };
    const [x, width] = place(free[0], free[1], wide);
    const [y, height] = place(free[2], free[3], high);
    Object.assign(stage.style, { left: `${x}px`, top: `${y}px`, width: `${width}px`, height: `${height}px` });
    Object.assign(camera, { width, height, x, y, room: Math.max(80, Math.min(free[1] - free[0], free[3] - free[2])) / height });
    wake();
  }

  function wake() {
    if (asked) return;
    asked = true;
    requestAnimationFrame(step);
  }

  function step(now) {
    asked = false;
    if (previous) {
      report.frames.push(now - previous);
      if (report.frames.length > KEPT) report.frames.shift();
    }
    const moving = move(now);
    render();
    previous = moving ? now : 0;
    if (moving) wake();
  }

  function move(now) {
    const since = previous ? Math.min(0.1, (now - previous) / 1000) : 0;
    if (state.flight) {
      const { from, to, begun } = state.flight;
      const t = Math.min(1, (now - begun) / 600);
      const ease = t * t * (3 - 2 * t);
      for (const key of ["yaw", "pitch", "distance"]) camera[key] = from[key] + (to[key] - from[key]) * ease;
      if (t === 1) state.flight = null;
    } else if (byId("turning").checked) {
      camera.rotate(since * 0.25, 0);
    }
    if (state.spin) {
      camera.rotate(0.03, 0);
      if (--state.spin.left === 0) {
        state.spin.done();
        state.spin = null;
      }
    }
    return Boolean(state.flight || state.spin || byId("turning").checked);
  }

  function render() {
    const density = Math.min(2, devicePixelRatio || 1);
    const { width, height } = camera;
    const turn = camera.turn();
    const limits = shellLimits();
    const cut = 1 - Number(byId("cut").value) / 50;
    seen = sort(turn[2], colours, { ...limits, cut });
    if (!scene) return;
    if (stage.width !== Math.round(width * density) || stage.height !== Math.round(height * density)) {
      stage.width = Math.round(width * density);
      stage.height = Math.round(height * density);
    }
    const scale = density * Math.sqrt((height * camera.room) / 800);
    const dark = state.theme === "dark";
    const facing = [state.theme, camera.distance, limits.inner, limits.outer, byId("rings").checked].join();
    if (facing !== faced) { // what faces the eye changes with the distance, not with turning
      faced = facing;
      scene.setBody(shapeBody(state.theme, camera.distance));
      rings = byId("rings").checked ? traceRings(globe, state.theme, camera.distance, limits.inner, limits.outer) : makeLines();
    }
    const look = {
      turn, seen, rings, lines, lens: camera.lens(), distance: camera.distance, line: density, heat: byId("heat").checked,
      size: Number(byId("size").value) * scale, deep: Math.max(0.05, Math.min(1.6, cut + 1)), marks: findMarks(turn[2], density), image: null,
      back: dark ? [0.043, 0.059, 0.09] : [0.965, 0.969, 0.98],
    };
    if (report.image) look.image = paintPoints(look, colours, stage.width, stage.height);
    scene.draw(look);
    if (!report.drawn) {
      scene.finish();
      report.firstFrame = performance.now();
      report.drawn = true;
    }
  }

  // Rings around hits, the pinned point and the one under the cursor; those on the far side are faint.
  function findMarks(toEye, density) {
    const dark = state.theme === "dark";
    const marks = { places: [], colours: [], size: 13 * density };
    const add = (i, colour) => {
      const place = globe.points.subarray(3 * i, 3 * i + 3);
      const depth = toEye[0] * place[0] + toEye[1] * place[1] + toEye[2] * place[2];
      marks.places.push(...place);
      marks.colours.push(...colour, depth > 0 ? 255 : 70);
    };
    if (globe.query) for (const i of globe.hits) add(i, dark ? [255, 255, 255] : [20, 26, 38]);
    if (state.pin >= 0) add(state.pin, dark ? [255, 180, 84] : [179, 71, 10]);
    if (state.hover >= 0) add(state.hover, dark ? [255, 214, 150] : [120, 50, 10]);
    return marks;
  }

  function shellLimits() {
    const [a, b] = [Number(byId("inner").value), Number(byId("outer").value)];
    return { inner: Math.min(a, b), outer: Math.max(a, b) };
  }

  function repaint() {
    paint(state.way, state.theme, state.off, state.matches, colours);
    scene?.setColours(colours);
    scene?.setField(shapeField(globe, state.theme));
    redraw();
    showLegend(globe, state.way, state.theme, state.off, toggleGroup, Boolean(globe.field && byId("heat").checked));
  }

  function redraw() {
    const shown = { grid: byId("grid").checked, zones: byId("zones").checked, cones: byId("cones").checked };
    lines = traceLines(globe, state.theme, shown);
    wake();
  }

  function toggleGroup(group) {
    if (!state.off.delete(group)) state.off.add(group);
    repaint();
  }

  function flyTo(i) {
    pinPoint(i);
    const facing = camera.facing(globe.direction(i));
    const from = { yaw: camera.yaw, pitch: camera.pitch, distance: camera.distance };
    state.flight = { from, to: { ...facing, distance: Math.min(camera.distance, 3.2) }, begun: performance.now() };
    wake();
  }

  function pinPoint(i) {
    state.pin = i;
    byId("card").hidden = i < 0;
    if (i >= 0) describe(globe, i, byId("pinned"));
    for (const button of byId("list").querySelectorAll("button")) {
      button.classList.toggle("chosen", Number(button.dataset.point) === i);
    }
    wake();
  }

  function hoverPoint(i, x, y) {
    if (i !== state.hover) wake();
    state.hover = i;
    stage.classList.toggle("over", i >= 0);
    showTip(globe, i, x, y);
  }

  const pickAt = (x, y) => (scene ? pick(camera, globe, seen, x - camera.x, y - camera.y, (Number(byId("size").value) * Math.sqrt((camera.height * camera.room) / 800)) / 2) : -1);

  function search() {
    const wanted = byId("search").value.trim().toLowerCase();
    const found = [];
    let total = 0;
    if (wanted) {
      state.matches = new Uint8Array(globe.count);
      for (let i = 0; i < globe.count; i++) {
        if (!globe.holds(i, wanted)) continue;
        state.matches[i] = 1;
        if (total++ < LISTED) found.push([i, null]);
      }
      const more = total > LISTED ? `, the first ${LISTED} listed` : "";
      showList(globe, `“${byId("search").value.trim()}”`, `${whole(total)} of ${whole(globe.count)} points hold it${more}`, found, flyTo);
      arrange();
    } else {
      state.matches = null;
      showHits();
    }
    repaint();
  }

  function showHits() {
    if (!globe.query) {
      byId("right").hidden = true;
      return arrange();
    }
    const rows = Array.from(globe.hits, (i, rank) => [i, globe.scores[rank]]);
    const cones = globe.apertures.length;
    const note = `${whole(rows.length)} ${rows.length === 1 ? "hit" : "hits"}` + (cones ? `, ${whole(cones)} ${cones === 1 ? "cone" : "cones"}` : "");
    showList(globe, globe.query.text, note, rows, flyTo);
    arrange();
  }

  // The strongest cone in the middle, or else the best hit.
  function turnToAnswer() {
    const best = globe.strengths.indexOf(globe.strengths.reduce((a, b) => Math.max(a, b), 0));
    if (best >= 0) Object.assign(camera, camera.facing(Array.from(globe.centres.subarray(3 * best, 3 * best + 3))));
    else if (globe.hits.length) Object.assign(camera, camera.facing(globe.direction(globe.hits[0])));
    camera.rotate(0.35, camera.pitch > 0 ? -0.2 : 0.2); // a little aside, so that the axis shows
  }

  function setTheme(theme) {
    state.theme = theme;
    document.documentElement.dataset.theme = theme;
  }

  function fillControls() {
    document.title = globe.title;
    byId("title").textContent = globe.title;
    const [sources, shells] = [globe.names.length, globe.shellRadii.length];
    byId("count").textContent = [[globe.count, "point"], [sources, "source"], [shells, "shell"]]
      .map(([n, noun]) => `${whole(n)} ${noun}${n === 1 ? "" : "s"}`).join(" · ");
    byId("colour").append(...ways.map((way) => {
      const option = make("option", "", way.name);
      option.value = way.id;
      return option;
    }));
    state.way = ways[0];
    if (globe.query) turnToAnswer();
    for (const [id, value] of [["inner", 0], ["outer", outermost]]) Object.assign(byId(id), { max: outermost, value });
    byId("more").open = innerWidth > NARROW;
    byId("shellBox").hidden = outermost === 0;
    byId("size").value = Math.max(1.75, Math.min(6, 9 - 1.5 * Math.log10(Math.max(1, globe.count))));
    byId("zonesBox").hidden = globe.poleAngle === null;
    byId("heatBox").hidden = !globe.field;
    byId("conesBox").hidden = !globe.query || !globe.apertures.length;
    showShells();
    showHits();
  }

  function showShells() {
    const { inner, outer } = shellLimits();
    byId("shellText").textContent = inner === outer ? `${inner}` : `${inner} – ${outer}`;
  }

  function listenToControls() {
    const on = (id, kind, act) => byId(id).addEventListener(kind, act);
    on("colour", "change", () => {
      state.way = ways.find((way) => way.id === byId("colour").value);
      state.off.clear();
      repaint();
    });
    for (const id of ["inner", "outer"]) on(id, "input", () => { showShells(); wake(); });
    for (const id of ["cut", "size"]) on(id, "input", wake);
    for (const id of ["grid", "zones", "cones"]) on(id, "change", redraw);
    for (const id of ["rings", "turning"]) on(id, "change", wake);
    on("heat", "change", repaint);
    on("theme", "click", () => { setTheme(state.theme === "dark" ? "light" : "dark"); repaint(); });
    on("unpin", "click", () => pinPoint(-1));
    let pause;
    on("search", "input", () => {
      clearTimeout(pause);
      pause = setTimeout(search, 150);
    });
    addEventListener("resize", arrange);
    on("more", "toggle", arrange);
  }

  function listenToPointers() {
    const held = new Map(); // pointers that are down
    let travelled = 0;
    const pace = () => (Math.min(1, (camera.distance - 1) / 3.9) * 0.0052 * 800) / (camera.height * camera.room);
    stage.addEventListener("pointerdown", (event) => {
      stage.setPointerCapture(event.pointerId);
      held.set(event.pointerId, [event.clientX, event.clientY]);
      travelled = 0;
      state.flight = null;
      stage.classList.add("dragging");
    });
    stage.addEventListener("pointermove", (event) => {
      const last = held.get(event.pointerId);
      if (!last) return hoverPoint(pickAt(event.clientX, event.clientY), event.clientX, event.clientY);
      const [dx, dy] = [event.clientX - last[0], event.clientY - last[1]];
      travelled += Math.abs(dx) + Math.abs(dy);
      if (held.size === 2) {
        const [other] = [...held].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
        const gap = ([x, y]) => Math.max(1, Math.hypot(x - other[0], y - other[1]));
        camera.zoom(gap(last) / gap([event.clientX, event.clientY]));
      } else {
        camera.rotate(-dx * pace(), dy * pace());
      }
      held.set(event.pointerId, [event.clientX, event.clientY]);
      hoverPoint(-1);
      wake();
    });
    const release = (event) => {
      held.delete(event.pointerId);
      if (!held.size) stage.classList.remove("dragging");
      if (event.type === "pointerup" && travelled < 5) {
        const i = pickAt(event.clientX, event.clientY);
        pinPoint(i);
        hoverPoint(-1);
      }
    };
    stage.addEventListener("pointerup", release);
    stage.addEventListener("pointercancel", release);
    stage.addEventListener("pointerleave", () => hoverPoint(-1));
    stage.addEventListener("wheel", (event) => {
      event.preventDefault();
      camera.zoom(Math.exp(Math.max(-80, Math.min(80, event.deltaY * (event.deltaMode ? 30 : 1))) * 0.002));
      hoverPoint(-1);
      wake();
    }, { passive: false });
  }

  function listenToKeys() {
    const keys = {
      ArrowLeft: () => camera.rotate(-0.08, 0), ArrowRight: () => camera.rotate(0.08, 0),
      ArrowUp: () => camera.rotate(0, 0.08), ArrowDown: () => camera.rotate(0, -0.08),
      "+": () => camera.zoom(0.87), "=": () => camera.zoom(0.87), "-": () => camera.zoom(1.15),
      "0": () => Object.assign(camera, HOME),
      t: () => byId("theme").click(), "/": () => byId("search").focus(),
    };
    addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "Escape") {
        if (document.activeElement === byId("search")) stage.focus();
        return pinPoint(-1);
      }
      if (/^(INPUT|SELECT)$/.test(event.target.tagName) || !keys[event.key]) return;
      event.preventDefault();
      state.flight = null;
      keys[event.key]();
      wake();
    });
  }

  fillControls();
  listenToControls();
  listenToPointers();
  listenToKeys();
  repaint();
  if (!scene) {
    stage.hidden = true;
    showNotice(`This browser offers no WebGL2, so the globe cannot be drawn. The ${whole(globe.count)} points are here all the same: search them, and read the matches in the list.`);
  }
  stage.addEventListener("webglcontextlost", (event) => event.preventDefault()); // so that it is restored
  stage.addEventListener("webglcontextrestored", () => {
    scene = makeScene(stage, globe);
    faced = "";
    repaint();
  });
  Object.assign(report, {
    count: globe.count,
    project(i) { // pixels in the window, and depth
      const [x, y, depth] = camera.project(Array.from(globe.points.subarray(3 * i, 3 * i + 3)));
      return [x + camera.x, y + camera.y, depth];
    },
    pick: pickAt,
    spin: (frames) => new Promise((done) => { state.spin = { left: frames, done }; wake(); }),
    ready: true,
  });
}

start().catch((problem) => {
  showNotice(`The page could not be drawn: ${problem.message}`);
  throw problem;
});
