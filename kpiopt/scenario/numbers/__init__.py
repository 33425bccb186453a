"""The numbers of a scenario by their paths, and the scenario in which one of them is another."""
