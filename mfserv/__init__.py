"""mfserv: REST services behind a router. What a service's author needs is here, and in ``mfserv.testing``."""

from mfserv.jobs.progress import report_progress
from mfserv.workers.request_context import request_id

__all__ = ["report_progress", "request_id"]
