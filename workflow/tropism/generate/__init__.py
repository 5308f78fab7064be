"""Room ``generate``: an arm and prompts give responses, the reasoning split from the answer."""
