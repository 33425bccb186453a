"""Pages: one self-contained file that works offline, runs nothing but its own script, sends nothing anywhere."""
