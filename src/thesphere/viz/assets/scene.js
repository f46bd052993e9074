// WebGL2: a ball, the query's field, lines, and points as discs, drawn from back to front without a depth buffer.

const VIEW = `#version 300 es
precision highp float;
uniform mat3 turn; uniform vec2 lens; uniform float distance;
vec4 look(vec3 v) { return vec4(lens * v.xy, 0.0, distance - v.z); }
`;
const POINT_VERTEX = `${VIEW}
layout(location = 0) in vec3 place; layout(location = 1) in vec4 colour;
uniform float size; uniform float deep; uniform vec3 back; out vec4 tint; out float edge;
void main() {
  vec3 v = turn * place;
  gl_Position = look(v);
  float wide = size * ${HOME.distance.toFixed(2)} / max(gl_Position.w, 0.05);
  gl_PointSize = wide + 1.0;
  edge = wide;
  float near = smoothstep(0.0, deep, v.z + 1.0);
  tint = vec4(mix(back, colour.rgb, 0.25 + 0.75 * near), colour.a * min(1.0, wide * 0.7));
}`;
const POINT_FRAGMENT = `#version 300 es
precision highp float;
in vec4 tint; in float edge; out vec4 seen;
void main() {
  float far = length(gl_PointCoord - 0.5) * (edge + 1.0);
  float inside = clamp(edge * 0.5 + 0.5 - far, 0.0, 1.0);
  seen = vec4(tint.rgb, tint.a * inside);
}`;
const MARK_FRAGMENT = `#version 300 es
precision highp float;
in vec4 tint; in float edge; out vec4 seen;
void main() {
  float far = length(gl_PointCoord - 0.5) * (edge + 1.0);
  float ring = clamp(1.6 - abs(far - edge * 0.5 + 1.2), 0.0, 1.0);
  float core = clamp(edge * 0.2 + 0.5 - far, 0.0, 1.0);
  seen = vec4(tint.rgb, tint.a * max(ring, core));
}`;
const LINE_VERTEX = `#version 300 es
precision highp float;
layout(location = 0) in vec3 at; layout(location = 1) in vec4 colour; out vec4 tint; out float across;
void main() { gl_Position = vec4(at.xy, 0.0, 1.0); tint = colour; across = at.z; }`;
const LINE_FRAGMENT = `#version 300 es
precision highp float;
uniform float wide; in vec4 tint; in float across; out vec4 seen;
void main() { seen = vec4(tint.rgb, tint.a * clamp((wide + 1.0) * (1.0 - abs(across)), 0.0, 1.0)); }`;
const FILL_VERTEX = `${VIEW}
layout(location = 0) in vec3 place; layout(location = 1) in vec4 colour;
uniform float fade; out vec4 tint;
void main() {
  gl_Position = look(turn * place);
  tint = vec4(colour.rgb, colour.a * fade);
}`;
const FILL_FRAGMENT = `#version 300 es
precision mediump float;
in vec4 tint; out vec4 seen;
void main() { seen = tint; }`;
const IMAGE_VERTEX = `#version 300 es
void main() { gl_Position = vec4(gl_VertexID == 1 ? 3.0 : -1.0, gl_VertexID == 2 ? 3.0 : -1.0, 0.0, 1.0); }`;
const IMAGE_FRAGMENT = `#version 300 es
precision highp float;
uniform highp sampler2D image; uniform vec2 corner; out vec4 seen;
void main() { seen = texelFetch(image, ivec2(gl_FragCoord.xy - corner), 0); }`;
const UPRIGHT = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]; // what does not turn with the globe: it faces the eye

function makeScene(canvas, globe) {
  const gl = canvas.getContext("webgl2", { alpha: false, antialias: false, depth: false, powerPreference: "high-performance" });
  if (!gl) return null;
  const programs = {
    points: link(gl, POINT_VERTEX, POINT_FRAGMENT),
    marks: link(gl, POINT_VERTEX, MARK_FRAGMENT),
    lines: link(gl, LINE_VERTEX, LINE_FRAGMENT),
    fill: link(gl, FILL_VERTEX, FILL_FRAGMENT),
    image: link(gl, IMAGE_VERTEX, IMAGE_FRAGMENT),
  };
  gl.enable(gl.BLEND);
  gl.blendFunc(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA);

  const cloud = makeMesh(gl, [[3, gl.FLOAT], [4, gl.UNSIGNED_BYTE]]);
  cloud.set(0, globe.points);
  const marked = makeMesh(gl, [[3, gl.FLOAT], [4, gl.UNSIGNED_BYTE]]);
  const body = makeMesh(gl, [[3, gl.FLOAT], [4, gl.UNSIGNED_BYTE]]);
  const field = makeMesh(gl, [[3, gl.FLOAT], [4, gl.UNSIGNED_BYTE]]);
  const quads = makeQuads(gl);
  const screen = gl.createTexture();
  gl.bindTexture(gl.TEXTURE_2D, screen);
  for (const filter of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, filter, gl.NEAREST);

  let frame; // what all programs of a frame share
  function use(name, turn = frame.turn) {
    const { program, at } = programs[name];
    gl.useProgram(program);
    gl.uniformMatrix3fv(at.turn, false, transpose(turn));
    gl.uniform2fv(at.lens, frame.lens);
    gl.uniform1f(at.distance, frame.distance);
    return at;
  }
  function drawLines(lines, wide, side, turn = frame.turn) {
    const count = quads.fill(lines, { ...frame, turn, width: canvas.width, height: canvas.height }, wide, side);
    const { program, at } = programs.lines;
    gl.useProgram(program);
    gl.uniform1f(at.wide, wide);
    gl.drawElements(gl.TRIANGLES, count, gl.UNSIGNED_INT, 0);
  }
  function drawDiscs(name, mesh, size) {
    const at = use(name);
    gl.uniform1f(at.size, size);
    gl.uniform1f(at.deep, frame.deep);
    gl.uniform3fv(at.back, frame.back);
    mesh.bind();
  }
  function drawImage({ pixels, left, bottom, wide, high }) {
    if (!pixels.length) return;
    const { program, at } = programs.image;
    gl.useProgram(program);
    gl.bindTexture(gl.TEXTURE_2D, screen);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, wide, high, 0, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
    gl.uniform2f(at.corner, left, bottom);
    gl.viewport(left, bottom, wide, high);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
    gl.viewport(0, 0, canvas.width, canvas.height);
  }
  function drawFaces(mesh, fade, turn) {
    if (!mesh.count) return;
    gl.uniform1f(use("fill", turn).fade, fade);
    mesh.bind();
    gl.drawElements(gl.TRIANGLES, mesh.count, gl.UNSIGNED_SHORT, 0);
  }
  return {
    software: isSoftware(gl),
    setColours: (colours) => cloud.set(1, colours),
    setBody: (faces) => body.fill(faces),
    setField: (faces) => field.fill(faces),
    // look: {turn, lens, distance, seen, image, size, deep, back, line, heat, lines, rings, marks: {places,
    // colours, size}}, sizes in pixels; `image` is null or holds the points already drawn; colours fade from the
    // front towards the back over the length `deep`
    draw(look) {
      frame = look;
      gl.viewport(0, 0, canvas.width, canvas.height);
      gl.clearColor(...look.back, 1);
      gl.clear(gl.COLOR_BUFFER_BIT);
      drawFaces(body, 1, UPRIGHT);
      gl.enable(gl.CULL_FACE);
      gl.cullFace(gl.FRONT);
      if (look.heat) drawFaces(field, 0.35);
      gl.disable(gl.CULL_FACE);
      drawLines(look.lines, look.line, -1);
      if (look.image) {
        drawImage(look.image);
      } else {
        drawDiscs("points", cloud, look.size);
        cloud.order(look.seen);
        gl.drawElements(gl.POINTS, look.seen.length, gl.UNSIGNED_INT, 0);
      }
      gl.enable(gl.CULL_FACE);
      gl.cullFace(gl.BACK);
      if (look.heat) drawFaces(field, 1);
      gl.disable(gl.CULL_FACE);
      drawLines(look.rings, look.line, 0, UPRIGHT);
      drawLines(look.lines, look.line * 1.3, 1);
      if (!look.marks.places.length) return;
      marked.set(0, new Float32Array(look.marks.places));
      marked.set(1, new Uint8Array(look.marks.colours));
      drawDiscs("marks", marked, look.marks.size);
      gl.drawArrays(gl.POINTS, 0, look.marks.places.length / 3);
    },
    finish: () => gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4)), // waits until all is drawn
  };
}

function isSoftware(gl) {
  const named = gl.getExtension("WEBGL_debug_renderer_info");
  return /swiftshader|llvmpipe|softpipe|software|basic render/i.test(gl.getParameter(named ? named.UNMASKED_RENDERER_WEBGL : gl.RENDERER));
}

const transpose = (rows) => [0, 1, 2].flatMap((k) => rows.map((row) => row[k])); // shaders hold matrices column by column

function link(gl, vertex, fragment) {
  const program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) {
    throw new Error(`a shader does not link: ${gl.getProgramInfoLog(program)}`);
  }
  const at = {};
  for (let k = gl.getProgramParameter(program, gl.ACTIVE_UNIFORMS) - 1; k >= 0; k--) {
    const { name } = gl.getActiveUniform(program, k);
    at[name] = gl.getUniformLocation(program, name);
  }
  return { program, at };
}

function makeMesh(gl, layout) {
  const array = gl.createVertexArray();
  const buffers = layout.map(() => gl.createBuffer());
  const elements = gl.createBuffer();
  gl.bindVertexArray(array);
  layout.forEach(([size, type], k) => {
    gl.bindBuffer(gl.ARRAY_BUFFER, buffers[k]);
    gl.enableVertexAttribArray(k);
    gl.vertexAttribPointer(k, size, type, type === gl.UNSIGNED_BYTE, 0, 0);
  });
  gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, elements);
  return {
    count: 0,
    bind: () => gl.bindVertexArray(array),
    fill({ places, colours, corners }) {
      this.set(0, new Float32Array(places));
      this.set(1, new Uint8Array(colours));
      this.bind();
      this.order(new Uint16Array(corners));
      this.count = corners.length;
    },
    set(k, values) {
      gl.bindBuffer(gl.ARRAY_BUFFER, buffers[k]);
      gl.bufferData(gl.ARRAY_BUFFER, values, gl.DYNAMIC_DRAW);
    },
    order: (indices) => gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, indices, gl.STREAM_DRAW), // while bound
  };
}

// Lines as quads in clip space, made anew for each frame: some hundred segments, and software renderers are slow at
// instances. `side` 1 keeps what is on the near side of the ball, -1 the far side (fainter), 0 all.
function makeQuads(gl) {
  const array = gl.createVertexArray();
  const [corners, elements] = [gl.createBuffer(), gl.createBuffer()];
  gl.bindVertexArray(array);
  gl.bindBuffer(gl.ARRAY_BUFFER, corners);
  gl.vertexAttribPointer(0, 3, gl.FLOAT, false, 16, 0);
  gl.vertexAttribPointer(1, 4, gl.UNSIGNED_BYTE, true, 16, 12);
  gl.enableVertexAttribArray(0);
  gl.enableVertexAttribArray(1);
  gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, elements);
  let room = 0, floats = new Float32Array(0), bytes = new Uint8Array(0);
  function grow(segments) {
    if (segments <= room) return;
    room = segments;
    floats = new Float32Array(room * 16);
    bytes = new Uint8Array(floats.buffer);
    const order = new Uint32Array(room * 6);
    for (let k = 0; k < room; k++) order.set([0, 1, 2, 2, 1, 3].map((corner) => 4 * k + corner), 6 * k);
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, order, gl.STATIC_DRAW);
  }
  return {
    fill({ ends, colours }, { turn, lens, distance, width, height }, wide, side) {
      gl.bindVertexArray(array);
      grow(ends.length / 6);
      let made = 0;
      const look = (k) => turn.map((row) => row[0] * ends[k] + row[1] * ends[k + 1] + row[2] * ends[k + 2]);
      for (let k = 0; k < ends.length / 6; k++) {
        const a = look(6 * k), b = look(6 * k + 3);
        const m = [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
        const near = m[2] / 2 >= (m[0] * m[0] + m[1] * m[1] + m[2] * m[2]) / 4 / distance;
        if (side && near !== side > 0) continue;
        if (distance - a[2] < 0.02 || distance - b[2] < 0.02) continue; // at or behind the eye
        const [ax, ay] = [(lens[0] * a[0]) / (distance - a[2]), (lens[1] * a[1]) / (distance - a[2])];
        const [bx, by] = [(lens[0] * b[0]) / (distance - b[2]), (lens[1] * b[1]) / (distance - b[2])];
        const [dx, dy] = [(bx - ax) * width, (by - ay) * height];
        const scale = (wide + 1) / (Math.hypot(dx, dy) || 1);
        const [nx, ny] = [(-dy * scale) / width, (dx * scale) / height];
        floats.set([ax - nx, ay - ny, -1, 0, ax + nx, ay + ny, 1, 0, bx - nx, by - ny, -1, 0, bx + nx, by + ny, 1, 0], 16 * made);
        for (let corner = 0; corner < 4; corner++) {
          const at = 64 * made + 16 * corner + 12;
          for (let c = 0; c < 4; c++) bytes[at + c] = colours[4 * k + c] * (c === 3 && side < 0 ? 0.3 : 1);
        }
        made++;
      }
      gl.bindBuffer(gl.ARRAY_BUFFER, corners);
      gl.bufferData(gl.ARRAY_BUFFER, floats.subarray(0, 16 * made), gl.STREAM_DRAW);
      return 6 * made;
    },
  };
}
