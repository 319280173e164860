"""The figures P1 to P7, each beside its floor measured in the same run: ``make bench``."""
