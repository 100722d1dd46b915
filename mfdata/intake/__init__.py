"""From incoming directories to the first queue: what is there, what is complete, when intake pauses."""
