// The camera looks at the centre of the globe; the pole is up. All lengths are in units of the largest radius.

const LENS = 1 / Math.tan((15 * Math.PI) / 180); // a field of view of 30 degrees
const HOME = { yaw: 0.6, pitch: 0.35, distance: 4.9 };
const NEAREST = 1.12, FARTHEST = 14;

function makeCamera() {
  const camera = { ...HOME, width: 1, height: 1, room: 1 }; // room: of the canvas's height, what the ball may take
  return Object.assign(camera, {
    // rows: right, up, towards the eye
    turn() {
      const { yaw, pitch } = camera;
      const [cy, sy, cp, sp] = [Math.cos(yaw), Math.sin(yaw), Math.cos(pitch), Math.sin(pitch)];
      return [[-sy, cy, 0], [-cy * sp, -sy * sp, cp], [cy * cp, sy * cp, sp]];
    },
    // half the window's height and width at depth 1, as factors of clip space
    lens() {
      return [(LENS * camera.room * camera.height) / camera.width, LENS * camera.room];
    },
    rotate(dx, dy) {
      camera.yaw = (camera.yaw + dx) % (2 * Math.PI);
      camera.pitch = Math.min(1.56, Math.max(-1.56, camera.pitch + dy));
    },
    zoom(factor) {
      camera.distance = Math.min(FARTHEST, Math.max(NEAREST, 1 + (camera.distance - 1) * factor));
    },
    // pixels of a place [x, y, z]: [x, y, depth], depth > 0 towards the eye
    project(place) {
      const [x, y, z] = camera.turn().map((row) => row[0] * place[0] + row[1] * place[1] + row[2] * place[2]);
      const [fx, fy] = camera.lens();
      const w = camera.distance - z;
      return [((1 + (fx * x) / w) / 2) * camera.width, ((1 - (fy * y) / w) / 2) * camera.height, z];
    },
    // yaw and pitch that bring a direction to the middle, by the shorter way round
    facing([x, y, z]) {
      const yaw = Math.atan2(y, x);
      const round = 2 * Math.PI;
      return { yaw: camera.yaw + ((((yaw - camera.yaw) % round) + 1.5 * round) % round) - round / 2, pitch: Math.asin(Math.max(-1, Math.min(1, z))) };
    },
  });
}

// Which points are seen, farthest first: a counting sort by depth over `colours` (alpha 0 is hidden), shells
// `inner` .. `outer` and the cutting plane `cut` (nothing nearer to the eye than it).
function makeSorter(globe) {
  const BINS = 4096;
  const bins = new Uint16Array(globe.count);
  const heads = new Uint32Array(BINS + 1);
  const order = new Uint32Array(globe.count);
  const { points, shells, count } = globe;
  return (toEye, colours, { inner, outer, cut }) => {
    const [a, b, c] = toEye;
    heads.fill(0);
    for (let i = 0; i < count; i++) {
      const depth = a * points[3 * i] + b * points[3 * i + 1] + c * points[3 * i + 2];
      if (colours[4 * i + 3] === 0 || shells[i] < inner || shells[i] > outer || depth > cut) {
        bins[i] = BINS;
      } else {
        bins[i] = (depth * 0.4999 + 0.5) * BINS;
        heads[bins[i]]++;
      }
    }
    let seen = 0;
    for (let k = 0; k < BINS; k++) {
      const here = heads[k];
      heads[k] = seen;
      seen += here;
    }
    for (let i = 0; i < count; i++) if (bins[i] < BINS) order[heads[bins[i]]++] = i;
    return order.subarray(0, seen);
  };
}

// The point under (x, y): the frontmost disc that covers it, else the nearest within reach; -1 if none.
function pick(camera, globe, seen, x, y, radius) {
  const [right, up, toEye] = camera.turn();
  const [fx, fy] = camera.lens();
  const { width, height, distance } = camera;
  const { points } = globe;
  const reach = 10;
  let best = -1, bestSquare = reach * reach;
  for (let n = seen.length - 1; n >= 0; n--) {
    const i = 3 * seen[n];
    const px = points[i], py = points[i + 1], pz = points[i + 2];
    const w = distance - (toEye[0] * px + toEye[1] * py + toEye[2] * pz);
    if (w <= 0) continue;
    const sx = ((1 + (fx * (right[0] * px + right[1] * py)) / w) / 2) * width - x;
    const sy = ((1 - (fy * (up[0] * px + up[1] * py + up[2] * pz)) / w) / 2) * height - y;
    const square = sx * sx + sy * sy;
    if (square > bestSquare) continue;
    const disc = Math.max(1.5, (radius * HOME.distance) / w);
    if (square <= disc * disc) return seen[n]; // farthest last: this one is in front
    best = seen[n];
    bestSquare = square;
  }
  return best;
}
