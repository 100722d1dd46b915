"""mfserv: what authors of services import."""

from mfserv.requestid import request_id

__all__ = ["request_id"]
