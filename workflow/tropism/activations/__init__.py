"""The residual stream of a model over texts, token by token, streamed and never kept whole."""
