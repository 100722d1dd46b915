"""The crash matrix: every way to die, in every process, each ending in the inventory equation. Minutes, not in CI."""
