"""The solver behind one door: gate, session, interior point, refinement."""
