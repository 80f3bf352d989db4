"""The method run as a whole: its stages, their partitions, the runner that skips what is current, the cost forecast."""
