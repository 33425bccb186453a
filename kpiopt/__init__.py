"""kpiopt: target allocation with certified plans and honest odds."""

__version__ = "0.1.0"
