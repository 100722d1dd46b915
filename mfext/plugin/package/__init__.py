"""Archives of plugins: their format, versions, signatures, and what may be in one."""
