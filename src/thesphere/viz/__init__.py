"""Pictures: the globe as one HTML file that opens offline, and static figures (`thesphere.viz.figures`)."""

from thesphere.viz.globe import Globe, Query
from thesphere.viz.page import write_globe

__all__ = ["Globe", "Query", "write_globe"]
