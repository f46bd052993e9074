// Unpacks what the page carries: base64 -> gzip -> header and typed arrays -> a globe.

const KINDS = { u1: Uint8Array, i1: Int8Array, i2: Int16Array, i4: Int32Array, f4: Float32Array, f8: Float64Array };

async function unpack(text) {
  const bytes = Uint8Array.fromBase64 ? Uint8Array.fromBase64(text) : decodeBase64(text);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const buffer = await new Response(stream).arrayBuffer();
  const size = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, size)));
  const arrays = {};
  for (const [name, [kind, offset, length]] of Object.entries(header.arrays)) {
    arrays[name] = new KINDS[kind](buffer, 4 + size + offset, length);
  }
  return makeGlobe(header, arrays);
}

function decodeBase64(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

function makeGlobe(header, arrays) {
  const count = arrays.shells.length;
  const largest = arrays.radii.reduce((a, b) => Math.max(a, b), arrays.shellRadii.reduce((a, b) => Math.max(a, b), 0)) || 1;
  const points = new Float32Array(count * 3); // in units of the largest radius
  for (let i = 0; i < count; i++) {
    const scale = arrays.radii[i] / largest / 32767;
    for (let k = 0; k < 3; k++) points[3 * i + k] = arrays.places[3 * i + k] * scale;
  }
  const starts = new Int32Array(count + 1);
  for (let i = 0; i < count; i++) starts[i + 1] = starts[i] + arrays.lengths[i];
  const decoder = new TextDecoder();
  const text = (i) => decoder.decode(arrays.texts.subarray(starts[i], starts[i + 1]));
  const names = header.names.map((name) => name.toLowerCase());
  let lowered = null; // made at the first search
  return {
    ...arrays, ...header, count, largest, points, text,
    direction: (i) => [0, 1, 2].map((k) => arrays.places[3 * i + k] / 32767),
    holds(i, wanted) {
      lowered ??= Array.from({ length: count }, (_, j) => text(j).toLowerCase());
      return lowered[i].includes(wanted) || names[arrays.sources[i]].includes(wanted);
    },
  };
}

function tally(values, size) {
  const counts = new Array(size).fill(0);
  for (const value of values) counts[value]++;
  return counts;
}
