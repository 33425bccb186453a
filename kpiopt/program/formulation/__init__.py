"""The formulation: the scenario's linear program as named blocks, one short function per constraint."""
