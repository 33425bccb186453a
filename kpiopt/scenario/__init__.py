"""What the planner writes: documents, tables and quantities, read strictly into a frozen `Scenario`."""
