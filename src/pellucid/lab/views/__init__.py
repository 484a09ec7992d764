"""What the page shows of an experiment: a file for each view, as plain data."""
