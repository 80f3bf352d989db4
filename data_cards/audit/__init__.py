"""The parts of the audit: what is read, what is counted, what must hold."""
