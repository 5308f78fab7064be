"""Room ``likelihood``: an arm and reference answers give paired log-probabilities, which need no judge."""
