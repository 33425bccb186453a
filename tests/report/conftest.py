"""What all tests of the report have."""

from tests.report.browser import closed_browser  # noqa: F401
