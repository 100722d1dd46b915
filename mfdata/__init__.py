"""mfdata: custom actions on incoming files. What a plugin's author needs is here."""

from mfdata.batch import BatchStep
from mfdata.file import File
from mfdata.outcome import Done, Failed, Hold, Output, Retry
from mfdata.step import Step

__all__ = ["BatchStep", "Done", "Failed", "File", "Hold", "Output", "Retry", "Step"]
