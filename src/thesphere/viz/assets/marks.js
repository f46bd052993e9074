// Lines over the globe (grid, shells, zones, cones: segments with a colour each) and faces (the ball, the query's
// field: triangles with a colour per corner).

const LIFT = 1.004; // lines on the crust lie a little above it

function makeLines() {
  const ends = [], colours = [];
  return {
    ends, colours,
    add(from, to, colour) {
      ends.push(...from, ...to);
      colours.push(...colour);
    },
    circle(axis, angle, radius, colour) {
      const steps = Math.round(24 + 48 * Math.sin(angle));
      const [u, v] = crossAxes(axis);
      const at = (k) => {
        const turn = (2 * Math.PI * k) / steps;
        const [c, s, h] = [Math.cos(turn) * Math.sin(angle), Math.sin(turn) * Math.sin(angle), Math.cos(angle)];
        return [0, 1, 2].map((i) => radius * (h * axis[i] + c * u[i] + s * v[i]));
      };
      for (let k = 0; k < steps; k++) this.add(at(k), at(k + 1), colour);
    },
  };
}

function crossAxes([x, y, z]) {
  const flat = Math.hypot(x, y);
  const u = flat > 1e-6 ? [-y / flat, x / flat, 0] : [1, 0, 0];
  return [u, [y * u[2] - z * u[1], z * u[0] - x * u[2], x * u[1] - y * u[0]]];
}

const rgba = (colour, alpha) => [...colour, Math.round(255 * alpha)];

function traceLines(globe, theme, shown) {
  const lines = makeLines();
  const quiet = theme === "dark" ? [150, 170, 205] : [70, 85, 110];
  const pole = [0, 0, 1];
  if (shown.grid) {
    for (let k = 1; k < 6; k++) lines.circle(pole, (k * Math.PI) / 6, LIFT, rgba(quiet, k === 3 ? 0.4 : 0.2));
    for (let k = 0; k < 6; k++) {
      const turn = (k * Math.PI) / 6;
      lines.circle([Math.cos(turn), Math.sin(turn), 0], Math.PI / 2, LIFT, rgba(quiet, 0.2));
    }
    lines.add([0, 0, 1], [0, 0, 1.09], rgba(quiet, 0.7));
    lines.add([0, 0, -1], [0, 0, -1.09], rgba(quiet, 0.7));
  }
  if (shown.zones && globe.poleAngle !== null) {
    const [north, south] = [parseHex(CATEGORIES[theme][1]), parseHex(CATEGORIES[theme][0])];
    for (const [share, alpha] of [[0.5, 0.4], [1, 0.95]]) {
      lines.circle(pole, globe.poleAngle * share, LIFT, rgba(north, alpha));
      lines.circle(pole, Math.PI - globe.poleAngle * share, LIFT, rgba(south, alpha));
    }
  }
  if (shown.cones && globe.query) {
    const strongest = globe.strengths.reduce((a, b) => Math.max(a, b), 0) || 1;
    const colour = parseHex(theme === "dark" ? "#ffd27a" : "#b3470a");
    globe.apertures.forEach((aperture, c) => {
      const axis = Array.from(globe.centres.subarray(3 * c, 3 * c + 3));
      const alpha = 0.35 + (0.65 * globe.strengths[c]) / strongest;
      lines.circle(axis, aperture, 1.012, rgba(colour, alpha));
      lines.add(axis.map((x) => x * 1.01), axis.map((x) => x * 1.16), rgba(colour, alpha));
    });
  }
  return lines;
}

// The outlines of a few shells between `inner` and `outer`: circles that face an eye at [0, 0, distance].
function traceRings(globe, theme, distance, inner, outer) {
  const lines = makeLines();
  const colour = theme === "dark" ? [150, 180, 230] : [60, 80, 120];
  const most = Math.min(6, globe.shellRadii.length && outer - inner + 1);
  for (let k = 0; k < most; k++) {
    const shell = most > 1 ? Math.round(inner + ((outer - inner) * k) / (most - 1)) : outer;
    const radius = globe.shellRadii[shell] / globe.largest;
    const half = Math.acos(Math.min(1, radius / distance)); // where the lines of sight touch the ball
    lines.circle([0, 0, 1], half, radius, rgba(colour, k === most - 1 ? 0.5 : 0.34));
  }
  return lines;
}

// A glassy ball for an eye at [0, 0, distance]: the flatter the line of sight, the denser.
function shapeBody(theme, distance) {
  const colour = theme === "dark" ? [90, 128, 204] : [115, 140, 190];
  const faces = { places: [], colours: [], corners: [] };
  const half = Math.acos(1 / distance);
  const steps = 96, shares = [0, 0.35, 0.6, 0.75, 0.87, 0.95, 1];
  shares.forEach((share, ring) => {
    const [s, c] = [Math.sin(half * share), Math.cos(half * share)];
    const slant = (distance * c - 1) / Math.hypot(s, distance - c);
    for (let k = 0; k < steps; k++) {
      const turn = (2 * Math.PI * k) / steps;
      faces.places.push(s * Math.cos(turn), s * Math.sin(turn), c);
      faces.colours.push(...rgba(colour, 0.08 + 0.24 * (1 - slant) ** 3));
      const [a, b] = [ring * steps + k, ring * steps + ((k + 1) % steps)];
      if (ring) faces.corners.push(a - steps, a, b - steps, b - steps, a, b);
    }
  });
  return faces;
}

// The query's intensity over the sphere; where it is next to nothing there are no faces.
function shapeField(globe, theme) {
  const faces = { places: [], colours: [], corners: [] };
  if (!globe.field) return faces;
  const ramp = makeRamp(theme, "heat");
  const [down, across] = [64, 128];
  for (let i = 0; i <= down; i++) {
    for (let j = 0; j <= across; j++) {
      const [theta, phi] = [(Math.PI * i) / down, (2 * Math.PI * j) / across];
      faces.places.push(Math.sin(theta) * Math.cos(phi), Math.sin(theta) * Math.sin(phi), Math.cos(theta));
      const much = readField(globe, theta, phi);
      const t = Math.min(1, Math.max(0, (much - 0.04) / 0.7));
      const step = 3 * Math.round(255 * much);
      faces.colours.push(...rgba(ramp.subarray(step, step + 3), 0.62 * t * t * (3 - 2 * t)));
      if (!i || !j) continue;
      const [d, c] = [i * (across + 1) + j, i * (across + 1) + j - 1];
      const [b, a] = [d - across - 1, c - across - 1];
      if ([a, b, c, d].some((k) => faces.colours[4 * k + 3])) faces.corners.push(a, c, b, b, c, d);
    }
  }
  return faces;
}

// The field at an angle, between its samples: rows at pi (t + 1/2) / T, columns at 2 pi f / F.
function readField({ field, query }, theta, phi) {
  const [rows, columns] = query.field;
  const row = Math.min(rows - 1, Math.max(0, (theta / Math.PI) * rows - 0.5));
  const column = (phi / (2 * Math.PI)) * columns;
  const [t, f] = [Math.floor(row), Math.floor(column)];
  const [down, along] = [row - t, column - f];
  const at = (a, b) => field[Math.min(rows - 1, a) * columns + (b % columns)] / 255;
  const mix = (a) => at(a, f) * (1 - along) + at(a, f + 1) * along;
  return mix(t) * (1 - down) + mix(t + 1) * down;
}
