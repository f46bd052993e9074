// Everything beside the picture. All text is put in as text, never as markup.

const byId = (id) => document.getElementById(id);

function make(tag, name, text) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (text !== undefined) element.textContent = text;
  return element;
}

const whole = (number) => number.toLocaleString("en");

function brief(number) {
  const size = Math.abs(number);
  return size && (size < 1e-3 || size >= 1e6) ? number.toExponential(2) : String(+number.toPrecision(size >= 1000 ? 5 : 3));
}

// What is known about point i: its source and bytes, the text, the signals.
function describe(globe, i, into) {
  const head = make("div", "head");
  const source = make("span", "source", globe.names[globe.sources[i]]);
  source.title = source.textContent;
  const [start, end] = [globe.spans[2 * i], globe.spans[2 * i + 1]];
  head.append(source, make("span", "score", `bytes ${whole(start)}–${whole(end)}`));
  const facts = make("div", "facts");
  const nats = globe.entropies[i];
  const known = [
    `shell ${globe.shells[i]}`,
    `radius ${brief(globe.radii[i])}`,
    `prominence ${brief(globe.prominence[i])}`,
    Number.isNaN(nats) ? "entropy unknown" : `entropy ${brief(nats)} nats`,
    globe.roles && globe.roleNames[globe.roles[i]],
    `point ${whole(i)}`,
  ];
  for (const fact of known) if (fact) facts.append(make("span", "", fact));
  into.replaceChildren(head, make("div", "text", globe.text(i) || "(no text)"), facts);
}

function showList(globe, title, note, rows, choose) {
  byId("right").hidden = false;
  byId("listTitle").textContent = title;
  byId("listNote").textContent = note;
  byId("list").replaceChildren(...rows.map(([i, score], rank) => {
    const button = make("button");
    button.type = "button";
    const head = make("div", "head");
    const measure = score === null ? `byte ${whole(globe.spans[2 * i])}` : brief(score);
    head.append(make("span", "source", `${rank + 1} · ${globe.names[globe.sources[i]]}`), make("span", "score", measure));
    button.append(head, make("div", "text", globe.text(i) || "(no text)"));
    button.dataset.point = i;
    button.addEventListener("click", () => choose(i));
    const item = make("li");
    item.append(button);
    return item;
  }));
}

function showLegend(globe, way, theme, off, toggle, heat) {
  const box = byId("legend");
  box.replaceChildren();
  box.append(make("h3", "", way.name));
  if (way.groups) {
    const palette = [...CATEGORIES[theme].map(parseHex), OTHER[theme]];
    way.labels.forEach((label, group) => {
      const button = make("button", "key");
      button.type = "button";
      button.title = `${label}: show or hide`;
      button.setAttribute("aria-pressed", String(!off.has(group)));
      const swatch = make("span", "swatch");
      swatch.style.background = `rgb(${palette[group].join(" ")})`;
      button.append(swatch, make("span", "name", label), make("span", "number", whole(way.counts[group])));
      button.addEventListener("click", () => toggle(group));
      box.append(button);
    });
  } else {
    const middle = way.whole ? Math.round((way.low + way.high) / 2) : (way.low + way.high) / 2;
    const low = (way.least < way.low ? "≤ " : "") + brief(way.low);
    const high = (way.most > way.high ? "≥ " : "") + brief(way.high);
    addRamp(box, makeRamp(theme, "value"), way.high > way.low ? [low, brief(middle), high] : ["all " + brief(way.low)]);
    if (way.unknown) box.append(make("p", "", `${whole(way.unknown)} unknown, in grey`));
  }
  if (heat) {
    box.append(make("h3", "", "field of the query, share of its peak"));
    addRamp(box, makeRamp(theme, "heat"), ["0", "0.5", "1"]);
  }
}

function addRamp(box, ramp, ticks) {
  const strip = make("canvas");
  strip.width = 256;
  strip.height = 1;
  const context = strip.getContext("2d");
  for (let i = 0; i < 256; i++) {
    context.fillStyle = `rgb(${ramp[3 * i]} ${ramp[3 * i + 1]} ${ramp[3 * i + 2]})`;
    context.fillRect(i, 0, 1, 1);
  }
  const scale = make("div", "ticks");
  scale.append(...ticks.map((tick) => make("span", "", tick)));
  box.append(strip, scale);
}

function showTip(globe, i, x, y) {
  const tip = byId("tip");
  tip.hidden = i < 0;
  if (i < 0) return;
  describe(globe, i, tip);
  const { width, height } = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(8, x + 18 + width > innerWidth ? x - width - 14 : x + 18)}px`;
  tip.style.top = `${Math.max(8, Math.min(y + 14, innerHeight - height - 8))}px`;
}

function showNotice(text) {
  byId("notice").textContent = text;
  byId("notice").hidden = false;
}
