"""The linear program of the cascade: blocks, formulation, solver session, certificate, ties and diagnosis."""
