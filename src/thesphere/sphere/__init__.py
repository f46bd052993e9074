"""The collection as one object: ingest files, ask, prove."""

from thesphere.sphere.hits import Hit, Hits, Request
from thesphere.sphere.ingest import Report
from thesphere.sphere.sphere import Sphere

__all__ = ["Hit", "Hits", "Report", "Request", "Sphere"]
