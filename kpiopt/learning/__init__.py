"""Learning: baselines, contributions and uncertainty from history, and how well past odds proved true."""
