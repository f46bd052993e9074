// Points drawn by the processor, for browsers whose WebGL is a software renderer: that one takes about half a
// microsecond for each point, this a tenth of it. Discs have hard edges here; otherwise the picture is the same.

function makePainter(globe) {
  const { points } = globe;
  let pixels = new Uint8Array(0), words = new Uint32Array(0);
  return ({ turn, lens, distance, seen, size, deep, back }, colours, width, height) => {
    const box = boundBall(lens, distance, width, height);
    const { wide, high } = box;
    if (wide * high > words.length) {
      pixels = new Uint8Array(wide * high * 4);
      words = new Uint32Array(pixels.buffer);
    }
    words.fill(0, 0, wide * high);
    const [[rx, ry, rz], [ux, uy, uz], [ex, ey, ez]] = turn;
    const [r0, g0, b0] = back.map((x) => 255 * x);
    const stamps = []; // by diameter
    const [middleX, middleY] = [width / 2 - box.left, height / 2 - box.bottom];
    const [scaleX, scaleY] = [(lens[0] * width) / 2, (lens[1] * height) / 2];
    for (let n = 0; n < seen.length; n++) {
      const i = seen[n];
      const x = points[3 * i], y = points[3 * i + 1], z = points[3 * i + 2];
      const depth = ex * x + ey * y + ez * z;
      if (distance - depth < 0.02) continue;
      const near = 1 / (distance - depth);
      const diameter = Math.max(1, (size * HOME.distance * near + 0.5) | 0);
      const left = middleX + scaleX * near * (rx * x + ry * y + rz * z) - diameter / 2 + 0.5;
      const bottom = middleY + scaleY * near * (ux * x + uy * y + uz * z) - diameter / 2 + 0.5;
      if (left < 0 || bottom < 0 || left + diameter > wide || bottom + diameter > high) continue;
      const t = Math.min(1, Math.max(0, (depth + 1) / deep));
      const share = 0.25 + 0.75 * t * t * (3 - 2 * t);
      const red = r0 + (colours[4 * i] - r0) * share;
      const green = g0 + (colours[4 * i + 1] - g0) * share;
      const blue = b0 + (colours[4 * i + 2] - b0) * share;
      const alpha = colours[4 * i + 3];
      const word = (alpha << 24) | (blue << 16) | (green << 8) | red;
      const start = (bottom | 0) * wide + (left | 0);
      const stamp = (stamps[diameter] ??= cutStamp(diameter, wide));
      if (alpha === 255) {
        for (let k = 0; k < stamp.length; k++) words[start + stamp[k]] = word;
      } else {
        for (const offset of stamp) words[start + offset] = blend(words[start + offset], red, green, blue, alpha / 255);
      }
    }
    return { pixels: pixels.subarray(0, wide * high * 4), ...box };
  };
}

// Offsets of a disc's pixels in rows of `wide`.
function cutStamp(diameter, wide) {
  const offsets = [];
  const middle = (diameter - 1) / 2;
  for (let y = 0; y < diameter; y++) {
    for (let x = 0; x < diameter; x++) {
      if (Math.hypot(x - middle, y - middle) <= diameter / 2 + 0.1) offsets.push(y * wide + x);
    }
  }
  return offsets;
}

function blend(under, red, green, blue, share) {
  if (!under) return (Math.round(255 * share) << 24) | (blue << 16) | (green << 8) | red;
  const mix = (shift, over) => Math.round(((under >>> shift) & 255) * (1 - share) + over * share);
  return (Math.max(under >>> 24, Math.round(255 * share)) << 24) | (mix(16, blue) << 16) | (mix(8, green) << 8) | mix(0, red);
}

// The pixels that the ball may cover, as the corner and size of a box in the window.
function boundBall(lens, distance, width, height) {
  const reach = 1.01 / Math.sqrt(distance * distance - 1);
  const [halfWide, halfHigh] = [(lens[0] * reach * width) / 2 + 8, (lens[1] * reach * height) / 2 + 8];
  const left = Math.max(0, Math.floor(width / 2 - halfWide)), bottom = Math.max(0, Math.floor(height / 2 - halfHigh));
  const wide = Math.min(width, Math.ceil(width / 2 + halfWide)) - left;
  const high = Math.min(height, Math.ceil(height / 2 + halfHigh)) - bottom;
  return { left, bottom, wide, high };
}
