"""The strict order: steps, ties, whole numbers, prices, and what to say where there is no plan."""
