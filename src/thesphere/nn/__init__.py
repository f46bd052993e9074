"""Networks over bytes: what they read, their integer arithmetic, and the reference in JAX (extra `jax`)."""
