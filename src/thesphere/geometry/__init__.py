"""Geometry of the sphere: pure functions that take NumPy or JAX arrays alike."""

from thesphere.geometry.caps import (
    cap_aperture,
    cap_area,
    in_cap,
    sample_cap,
    sample_sphere,
    sphere_area,
)
from thesphere.geometry.cones import cone_width
from thesphere.geometry.coordinates import angles, positions, to_cartesian, to_spherical, wrap
from thesphere.geometry.density import angular_density, radial_density
from thesphere.geometry.maps import exp_map, great_circle, log_map, slerp, tangent
from thesphere.geometry.namespace import generator, namespace, norm, unit
from thesphere.geometry.overflow import prominence_overflow
from thesphere.geometry.shells import (
    STRATEGIES,
    Shells,
    capacities,
    maximum_radius,
    minimum_radius,
    shares,
    shell_radii,
)
from thesphere.geometry.zones import Zones, role_of

__all__ = [
    "STRATEGIES",
    "Shells",
    "Zones",
    "angles",
    "angular_density",
    "cap_aperture",
    "cap_area",
    "capacities",
    "cone_width",
    "exp_map",
    "generator",
    "great_circle",
    "in_cap",
    "log_map",
    "maximum_radius",
    "minimum_radius",
    "namespace",
    "norm",
    "positions",
    "prominence_overflow",
    "radial_density",
    "role_of",
    "sample_cap",
    "sample_sphere",
    "shares",
    "shell_radii",
    "slerp",
    "sphere_area",
    "tangent",
    "to_cartesian",
    "to_spherical",
    "unit",
    "wrap",
]
