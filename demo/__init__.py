"""The main job of MetWork, end to end, on real input: ``python -m demo`` or ``make demo``."""
