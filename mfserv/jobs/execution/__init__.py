"""How a job is executed: attempts, what comes of them, who is alive."""
