"""Trust: certificates and evidence, checked by code that shares nothing with the solver or the builder."""
