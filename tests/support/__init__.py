"""The real servers that the tests run against, and the switches that make them fail."""
