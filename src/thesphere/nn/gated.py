"""The gated recurrence of the byte models.

    s[t] = k s[t - 1] + (1 - k) v,    y = s silu(g),    k = sigmoid(z + bias)

One definition, two ways: `by_scan`, a parallel prefix in plain JAX (any device), and `by_kernel`, one Pallas
kernel for Nvidia GPUs that reads its inputs once and keeps the state in registers, with its own backward pass.
"""

from functools import partial

from thesphere.errors import InputError, MissingExtra

try:
    import jax
    import jax.numpy as jnp
except ImportError:
    raise MissingExtra("the training of byte models", "jax") from None

UNROLL = 8  # steps whose loads are issued together
CHANNELS = 64  # of one program
RUN = 32  # sorted rows that one program adds up


def by_scan(z, bias, alive, start):
    """The recurrence in plain JAX.

    Args:
        z: [B, T, 3 D]: values, gates and output gates side by side.
        bias: [D] added to the gates.
        alive: [B, T]; 0 where a document begins, so that nothing of the one before is kept, else 1.
        start: [B, D], the state before the first position.

    Returns:
        (y [B, T, D], the last state [B, D]), float32.
    """
    value, gate, out = jnp.split(z.astype(jnp.float32), 3, -1)
    gate = jax.nn.sigmoid(gate + bias)
    keep, new = gate * alive[..., None], (1 - gate) * value
    new = new.at[:, 0].add(keep[:, 0] * start)

    def join(left, right):
        return left[0] * right[0], left[1] * right[0] + right[1]

    s = jax.lax.associative_scan(join, (keep, new), axis=1)[1]
    return s * jax.nn.silu(out), s[:, -1]


def _call(kernel, z, others, outs, width, **more):
    """`kernel` on programs of one sequence and CHANNELS channels each; others, outs: (layout, array or shape)."""
    from jax.experimental import pallas as pl

    batch, length = z.shape[:2]
    per = width // CHANNELS
    thirds = [pl.BlockSpec((None, length, CHANNELS), lambda b, j, k=k: (b, 0, j + k * per)) for k in range(3)]
    whole = pl.BlockSpec((None, length, CHANNELS), lambda b, j: (b, 0, j))
    row = pl.BlockSpec((None, CHANNELS), lambda b, j: (b, j))
    bias = pl.BlockSpec((CHANNELS,), lambda b, j: (j,))
    alive = pl.BlockSpec((None, length), lambda b, j: (b, 0))
    named = {"whole": whole, "row": row, "bias": bias, "alive": alive}
    if not more.get("interpret"):
        from jax.experimental.pallas import triton

        more["compiler_params"] = triton.CompilerParams(num_warps=2, num_stages=1)
    return pl.pallas_call(
        kernel,
        grid=(batch, per),
        in_specs=[*thirds, *(named[kind] for kind, _ in others)],
        out_specs=[named[kind] for kind, _ in outs],
        out_shape=[shape for _, shape in outs],
        **more,
    )(z, z, z, *(array for _, array in others))


# Pallas kernels are run once per program with references to their piece of every array.


def _ahead(v_ref, k_ref, g_ref, bias_ref, alive_ref, start_ref, y_ref, s_ref, last_ref):
    bias = bias_ref[:]

    def some(i, s):
        at = [i * UNROLL + u for u in range(UNROLL)]
        v = [v_ref[t, :].astype(jnp.float32) for t in at]
        k = [jax.nn.sigmoid(k_ref[t, :].astype(jnp.float32) + bias) for t in at]
        g = [g_ref[t, :].astype(jnp.float32) for t in at]
        alive = [alive_ref[t] for t in at]
        for u, t in enumerate(at):
            s = k[u] * (alive[u] * s) + (1 - k[u]) * v[u]
            s_ref[t, :] = s.astype(s_ref.dtype)
            y_ref[t, :] = (s * (g[u] * jax.nn.sigmoid(g[u]))).astype(y_ref.dtype)
        return s

    last_ref[:] = jax.lax.fori_loop(0, v_ref.shape[0] // UNROLL, some, start_ref[:])


def _back(v_ref, k_ref, g_ref, bias_ref, alive_ref, start_ref, s_ref, dy_ref, dv_ref, dk_ref, dg_ref):
    bias, start = bias_ref[:], start_ref[:]
    blocks = v_ref.shape[0] // UNROLL

    def some(i, ds):
        at = [(blocks - 1 - i) * UNROLL + UNROLL - 1 - u for u in range(UNROLL)]
        v = [v_ref[t, :].astype(jnp.float32) for t in at]
        k = [jax.nn.sigmoid(k_ref[t, :].astype(jnp.float32) + bias) for t in at]
        g = [g_ref[t, :].astype(jnp.float32) for t in at]
        dy = [dy_ref[t, :].astype(jnp.float32) for t in at]
        s = [s_ref[t, :].astype(jnp.float32) for t in at]
        first = s_ref[jnp.maximum(at[-1] - 1, 0), :].astype(jnp.float32)
        s.append(jnp.where(at[-1] == 0, start, first))
        alive = [alive_ref[t] for t in at]
        for u, t in enumerate(at):
            open_ = jax.nn.sigmoid(g[u])
            ds = ds + dy[u] * g[u] * open_
            dg_ref[t, :] = (dy[u] * s[u] * open_ * (1 + g[u] * (1 - open_))).astype(dg_ref.dtype)
            dv_ref[t, :] = (ds * (1 - k[u])).astype(dv_ref.dtype)
            dk = ds * (alive[u] * s[u + 1] - v[u]) * k[u] * (1 - k[u])
            dk_ref[t, :] = dk.astype(dk_ref.dtype)
            ds = ds * k[u] * alive[u]
        return ds

    jax.lax.fori_loop(0, blocks, some, jnp.zeros_like(start))


def _forward(z, bias, alive, start, interpret):
    width = bias.shape[0]
    shape = jax.ShapeDtypeStruct((*z.shape[:2], width), z.dtype)
    return _call(
        _ahead, z, [("bias", bias), ("alive", alive), ("row", start)],
        [("whole", shape), ("whole", shape), ("row", jax.ShapeDtypeStruct(start.shape, jnp.float32))],
        width, interpret=interpret,
    )  # fmt: skip


@partial(jax.custom_vjp, nondiff_argnums=(4,))
def by_kernel(z, bias, alive, start, interpret=False):
    """As `by_scan`, y in z's type; T is a multiple of UNROLL and D of CHANNELS.

    No gradient flows into `start`: training cuts there. `interpret` runs the kernel without a GPU, slowly.
    """
    y, _, last = _forward(z, bias, alive, start, interpret)
    return y, last


def _kernel_forward(z, bias, alive, start, interpret):
    y, s, last = _forward(z, bias, alive, start, interpret)
    return (y, last), (z, bias, alive, start, s)


def _kernel_backward(interpret, saved, gradients):
    z, bias, alive, start, s = saved
    width = bias.shape[0]
    shape = jax.ShapeDtypeStruct((*z.shape[:2], width), z.dtype)
    dv, dk, dg = _call(
        _back, z,
        [("bias", bias), ("alive", alive), ("row", start), ("whole", s), ("whole", gradients[0].astype(z.dtype))],
        [("whole", shape)] * 3, width, interpret=interpret,
    )  # fmt: skip
    dbias = jnp.sum(dk, (0, 1), dtype=jnp.float32)
    return jnp.concatenate([dv, dk, dg], -1), dbias, jnp.zeros_like(alive), jnp.zeros_like(start)


by_kernel.defvjp(_kernel_forward, _kernel_backward)


def add_rows(index, rows, count: int):
    """Sums of `rows` [N, W] by `index` [N] int32: float32 [count, W], on Nvidia GPUs.

    Rows are brought into the order of their index first, so that a frequent index costs one atomic addition a
    program instead of one a row.

    Raises:
        InputError: N is no multiple of RUN.
    """
    from jax.experimental import pallas as pl
    from jax.experimental.pallas import triton

    if len(index) % RUN:
        raise InputError(f"{len(index)} rows cannot be added up: their number must be a multiple of {RUN}")
    width = rows.shape[1]
    columns = pl.next_power_of_2(width)
    order = jnp.argsort(index)
    index, rows = jax.lax.optimization_barrier((index[order], rows[order].astype(jnp.float32)))

    def kernel(index_ref, rows_ref, zeros_ref, out_ref):
        inside = jnp.arange(columns) < width

        def row(u):
            return triton.load(rows_ref.at[u, pl.ds(0, columns)], mask=inside, other=0.0)

        total = row(0)
        for u in range(1, RUN):
            before = index_ref[u - 1]
            same = index_ref[u] == before
            triton.atomic_add(
                out_ref, (before, pl.ds(0, columns)), total, mask=inside & jnp.logical_not(same)
            )
            total = jnp.where(same, total, 0.0) + row(u)
        triton.atomic_add(out_ref, (index_ref[RUN - 1], pl.ds(0, columns)), total, mask=inside)

    table = pl.BlockSpec((count, width), lambda p: (0, 0))
    return pl.pallas_call(
        kernel,
        grid=(len(index) // RUN,),
        in_specs=[pl.BlockSpec((RUN,), lambda p: (p,)), pl.BlockSpec((RUN, width), lambda p: (p, 0)), table],
        out_specs=table,
        out_shape=jax.ShapeDtypeStruct((count, width), jnp.float32),
        input_output_aliases={2: 0},
        compiler_params=triton.CompilerParams(num_warps=1, num_stages=1),
    )(index, rows, jnp.zeros((count, width)))
