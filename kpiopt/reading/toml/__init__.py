"""TOML: read with the place of every value, written again."""
