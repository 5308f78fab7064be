"""A response-level detector of misalignment, with the controls that it has to survive."""
