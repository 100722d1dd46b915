"""mfdata: custom actions on incoming files. What a plugin's author needs is here, and in ``mfdata.testing``."""

from mfdata.batch import BatchStep
from mfdata.file import File
from mfdata.outcome import Done, Expired, Failed, Hold, Outcome, Output, Retry
from mfdata.step import Step

__all__ = ["BatchStep", "Done", "Expired", "Failed", "File", "Hold", "Outcome", "Output", "Retry", "Step"]
