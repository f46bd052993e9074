"""What the training of encoders makes small, for the pairs of one step.

Each step takes pairs (a, b) of about the same two lengths and adds up, over all devices' pairs together:

- InfoNCE in both directions at a fixed temperature (van den Oord et al. 2018). A pair's neighbours in its source
  are in the same batch as hard negatives, and others that the teacher holds for alike (`near`); what it holds for
  the same is none;
- 1 - cosine to the teacher's vector of the text (of a translation: of the English text; of a damaged text: of the
  whole one), and the divergence of the student's similarities in the batch from the teacher's;
- with small weights: the cross-entropy of each patch's shell, which is where its norm's rank puts it when shells
  hold r^1.5; evenness of the prominence within a text, and its scale; and the mutual information of patch and
  cone, so that all cones are used and each patch is sure of its own. (The earlier system regressed similarities,
  took the logarithm of negative numbers, and pushed every patch towards all cones alike.)
"""

from thesphere.errors import MissingExtra
from thesphere.nn import sphere
from thesphere.nn.sphere_shape import SphereShape
from thesphere.train.sampler import Settings
from thesphere.train.shelf import PAIRS, Shelf, windows_of

try:
    import jax
    import jax.numpy as jnp
    import optax
except ImportError:
    raise MissingExtra("the training of encoders", "jax") from None

WATCHED = 128  # texts of a batch whose patches the small losses look at
_NONE = -1e9


def _unit(x):
    return x * jax.lax.rsqrt(jnp.maximum(jnp.sum(x * x, -1, keepdims=True), 1e-12))


def _mean(x, shared: bool):
    """x, a count, as the mean over all devices: what is divided by it adds up to the mean over all pairs."""
    return jnp.maximum(jax.lax.pmean(x.astype(jnp.float32), PAIRS) if shared else x, 1e-6)


def _everywhere(x, shared: bool):
    """x of all devices, one after the other."""
    return jax.lax.all_gather(x, PAIRS, tiled=True) if shared else x


def contrast(za, zb, mine, negative, related, temperature: float, shared: bool = False):
    """InfoNCE of unit rows, both ways, mean over the related pairs.

    Args:
        za, zb: [N, E], all pairs.
        mine: int [n], which of them are asked.
        negative: bool [n, N], which of all are negatives of each asked one.
        related: float32 [n], 0 for pairs that are none.
    """
    own = mine[:, None] == jnp.arange(len(za))
    total = 0.0
    for x, y in ((za, zb), (zb, za)):
        logits = jnp.where(negative | own, x[mine] @ y.T / temperature, _NONE)
        total += jnp.sum((jax.nn.logsumexp(logits, 1) - jnp.sum(jnp.where(own, logits, 0), 1)) * related)
    return total / (2 * _mean(related.sum(), shared))


def divergence(z, to, t, t_to, asked, known, temperature: float, shared: bool = False):
    """Kullback-Leibler divergence of softmax(z to) from softmax(t t_to), mean over the rows asked.

    Args:
        z, to: the student's unit rows [n, E], [N, E]; t, t_to: the teacher's.
        asked: bool [n], rows that have a teacher; known: bool [n, N], which columns count for each.
    """
    wanted = jax.nn.log_softmax(jnp.where(known, t @ t_to.T / temperature, _NONE))
    given = jax.nn.log_softmax(jnp.where(known, z @ to.T / temperature, _NONE))
    each = jnp.sum(jnp.exp(wanted) * jnp.where(known, wanted - given, 0), 1)
    return jnp.sum(each * asked) / _mean(asked.sum(), shared)


def small_losses(parameters, found: sphere.Found, count):
    """(shells, prominence, cones): see the module's description; each is 0 or more at its best."""
    used = jnp.arange(found.h.shape[1]) < count[:, None]
    total = jnp.maximum(used.sum(), 1)
    norms = jnp.linalg.norm(jax.lax.stop_gradient(sphere.patch_embeddings(parameters, found)), axis=-1)
    logits = sphere.shells(parameters, found)
    shells = logits.shape[-1]
    rank = jnp.argsort(jnp.argsort(jnp.where(used, norms, jnp.inf).ravel())).reshape(used.shape)
    radius = jnp.linspace(32.0, 512.0, shells)
    capacity = jnp.cumsum(radius**1.5) / jnp.sum(radius**1.5)
    target = jnp.minimum(jnp.searchsorted(capacity, (rank + 0.5) / total), shells - 1)
    shell = optax.softmax_cross_entropy_with_integer_labels(logits, target)
    share = found.prominence / jnp.maximum(found.prominence.sum(1, keepdims=True), 1e-12)
    surprise = -jnp.sum(jax.scipy.special.xlogy(share, jnp.maximum(share, 1e-12)), 1)
    uneven = 1 - surprise / jnp.log(jnp.maximum(count, 2))
    scale = jnp.square(jnp.log(found.prominence.sum() / total))
    affinity = jax.nn.softmax(sphere.cones(parameters, found))
    mean = jnp.sum(affinity * used[..., None], (0, 1)) / total

    def entropy(p):
        return -jnp.sum(jax.scipy.special.xlogy(p, jnp.maximum(p, 1e-12)), -1)

    apart = jnp.log(affinity.shape[-1]) + jnp.sum(entropy(affinity) * used) / total - entropy(mean)
    return jnp.sum(shell * used) / total, jnp.sum(uneven * (count > 1)) / len(count) + scale, apart


def losses(
    parameters,
    shape: SphereShape,
    settings: Settings,
    shelf: Shelf,
    a,
    b,
    related,
    places,
    known,
    shared: bool,
):
    """(sum of all, each by name) of the pairs (a, b) that this device has.

    Args:
        related: float32, 1 where a and b belong together, else 0.
        places: patches of the windows of a and of b.
        known: [words] 0 where a word's own rows are forgotten.
        shared: whether there are other devices with other pairs.
    """
    words, (wa, wb) = windows_of(shelf, (a, b), places, settings.words)
    vectors = sphere.word_vectors(parameters, words, known, settings.kernel)
    fa, fb = (
        sphere.forward(parameters, shape, words, vectors, w, jnp.bfloat16, settings.kernel) for w in (wa, wb)
    )
    za, zb = _unit(fa.passages), _unit(fb.passages)
    rows = jnp.stack([shelf.taught[a], shelf.taught[b]])
    taught = rows >= 0
    teachers = jnp.where(taught[..., None], shelf.teacher[jnp.maximum(rows, 0)].astype(jnp.float32), 0)
    ta, tb = _unit(teachers[0]), _unit(teachers[1])
    mine = jnp.arange(len(a)) + (jax.lax.axis_index(PAIRS) * len(a) if shared else 0)
    all_za, all_zb, all_ta, all_tb, all_a, all_b = (_everywhere(x, shared) for x in (za, zb, ta, tb, a, b))
    same = (a[:, None] == all_a) | (b[:, None] == all_b) | (a[:, None] == all_b) | (b[:, None] == all_a)
    for t, other in ((ta, all_ta), (tb, all_tb), (ta, all_tb), (tb, all_ta)):
        same |= t @ other.T > settings.same
    nce = contrast(all_za, all_zb, mine, ~same, related, settings.temperature, shared)
    near = sum(jnp.sum((1 - jnp.sum(z * t, 1)) * k) for z, t, k in ((za, ta, taught[0]), (zb, tb, taught[1])))
    near /= _mean(taught.sum(), shared)
    columns_a, columns_b = (jnp.any(t != 0, 1)[None] for t in (all_ta, all_tb))
    own = mine[:, None] == jnp.arange(len(all_a))
    relation = divergence(za, all_zb, ta, all_tb, taught[0], columns_b, settings.temperature, shared)
    relation += divergence(zb, all_zb, tb, all_tb, taught[1], columns_b & ~own, settings.temperature, shared)
    relation += divergence(za, all_za, ta, all_ta, taught[0], columns_a & ~own, settings.temperature, shared)
    some = sphere.Found(*(part[:WATCHED] for part in fb))
    shell, prominence, cone = small_losses(parameters, some, wb.count[:WATCHED])
    told = {
        "nce": nce,
        "distil": near,
        "relate": relation,
        "shell": shell,
        "prominence": prominence,
        "cone": cone,
    }
    small = settings.small * (shell + prominence + cone)
    return nce + settings.distil * near + settings.relate * relation + small, told
