"""Plans that keep promised odds."""
