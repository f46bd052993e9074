"""Training of the byte models: corpora, lanes of text and the loop (extra `jax`)."""
