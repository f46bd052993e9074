"""Dynamics of points on the sphere under the forces of a sparse graph. `couplings` needs NumPy only;
`exploring` (numba) and `langevin` (JAX) are imported where they are used."""

from thesphere.sampling.couplings import Couplings, couple, resolution

__all__ = ["Couplings", "couple", "resolution"]
