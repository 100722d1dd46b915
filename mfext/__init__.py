"""mfext: the base under all modules. What a plugin's author needs is in these files; the others are for modules.

``mfext.option``: a key of ``[custom]``; ``mfext.section``: what a class of such keys extends; ``mfext.errors``: errors
that say where, what was found, what was expected and the mend; ``mfext.log``: loggers; ``mfext.testing``: homes and
waits for tests. None is imported here: processes start in milliseconds.
"""

__all__ = ["errors", "log", "option", "section", "testing"]
