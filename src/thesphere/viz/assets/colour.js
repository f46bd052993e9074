// Colours that the colour-blind can tell apart. Ramps rise evenly in OKLab lightness (Ottosson 2020), so that they
// also read in grey; categories are the palette of Okabe and Ito (2008), darkened where the page is light.

const CATEGORIES = {
  dark: ["#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#f0e442", "#4f8fe0"],
  light: ["#2b87c0", "#c98500", "#00805d", "#b25a8c", "#c14f00", "#9a8f00", "#1b4f9c"],
};
const OTHER = { dark: [122, 132, 150], light: [140, 148, 162] }; // unknown, or one of too many
const RAMPS = { // lightness, chroma and hue (degrees) of the lowest and of the highest value
  dark: { value: [0.46, 0.15, 285, 0.92, 0.15, 100], heat: [0.5, 0.17, 20, 0.93, 0.13, 95] },
  light: { value: [0.8, 0.13, 95, 0.32, 0.14, 285], heat: [0.86, 0.12, 85, 0.45, 0.18, 22] },
};

function oklch(lightness, chroma, degrees) {
  const a = chroma * Math.cos((degrees * Math.PI) / 180);
  const b = chroma * Math.sin((degrees * Math.PI) / 180);
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ].map((x) => Math.round(255 * gamma(Math.min(1, Math.max(0, x)))));
}

const gamma = (x) => (x <= 0.0031308 ? 12.92 * x : 1.055 * x ** (1 / 2.4) - 0.055);

function makeRamp(theme, kind) {
  const [l0, c0, h0, l1, c1, h1] = RAMPS[theme][kind];
  const colours = new Uint8Array(256 * 3);
  for (let i = 0; i < 256; i++) {
    const t = i / 255;
    colours.set(oklch(l0 + t * (l1 - l0), c0 + t * (c1 - c0), h0 + t * (h1 - h0)), 3 * i);
  }
  return colours;
}

const parseHex = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));

// How points may be coloured. Each way: its name and either a `value` per point or a `group` per point.
function makeWays(globe) {
  const bySource = rankGroups(globe.sources, globe.names);
  const ways = [
    bySource && { id: "source", name: "source", ...bySource },
    { id: "prominence", name: "prominence", values: globe.prominence },
    { id: "entropy", name: "entropy, nats", values: globe.entropies },
    { id: "shell", name: "shell", values: globe.shells, whole: true },
    globe.roles && { id: "zone", name: "zone", groups: globe.roles, labels: globe.roleNames, counts: tally(globe.roles, 3) },
  ];
  return ways.filter(Boolean).map((way) => (way.values ? { ...way, ...findRange(way) } : way));
}

// The seven commonest sources get a colour each; all others share one group, the last.
function rankGroups(sources, names) {
  const counts = tally(sources, names.length);
  const order = names.map((_, i) => i).sort((a, b) => counts[b] - counts[a]);
  const most = CATEGORIES.dark.length;
  const kept = order.slice(0, most);
  const group = new Int32Array(names.length).fill(most);
  kept.forEach((source, rank) => (group[source] = rank));
  const labels = kept.map((source) => names[source]);
  const totals = kept.map((source) => counts[source]);
  if (names.length > most) {
    labels.push(`${(names.length - most).toLocaleString("en")} other sources`);
    totals.push(order.slice(most).reduce((sum, source) => sum + counts[source], 0));
  }
  return { groups: Int32Array.from(sources, (source) => group[source]), labels, counts: totals };
}

// The scale runs over the middle 98 % of the values, so that one outlier does not flatten the rest.
function findRange({ values, whole }) {
  const known = Float64Array.from(values).filter((x) => !Number.isNaN(x)).sort();
  const at = (share) => (known.length ? known[Math.round(share * (known.length - 1))] : 0);
  const [low, high] = whole ? [at(0), at(1)] : [at(0.01), at(0.99)];
  return { low, high, least: at(0), most: at(1), unknown: values.length - known.length };
}

// RGBA per point; alpha 0 hides a point (its group is switched off), a low alpha dims it (it does not match).
function paint(way, theme, off, matches, colours) {
  const ramp = makeRamp(theme, "value");
  const palette = [...CATEGORIES[theme].map(parseHex), OTHER[theme]];
  const scale = way.values && way.high > way.low ? 255 / (way.high - way.low) : 0;
  for (let i = 0; i < colours.length / 4; i++) {
    let from = palette;
    let red, green, blue;
    if (way.groups) {
      [red, green, blue] = from[way.groups[i]];
    } else if (Number.isNaN(way.values[i])) {
      [red, green, blue] = OTHER[theme];
    } else {
      const step = scale ? Math.min(255, Math.max(0, Math.round((way.values[i] - way.low) * scale))) : 128;
      red = ramp[3 * step]; green = ramp[3 * step + 1]; blue = ramp[3 * step + 2];
    }
    colours[4 * i] = red; colours[4 * i + 1] = green; colours[4 * i + 2] = blue;
    colours[4 * i + 3] = way.groups && off.has(way.groups[i]) ? 0 : matches && !matches[i] ? 22 : 255;
  }
}
