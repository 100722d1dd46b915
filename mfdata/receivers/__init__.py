"""Ways in besides directories: each acknowledges a file only once it is safe."""
