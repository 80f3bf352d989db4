"""Instruction samples: one per passage and entity type, and their splits."""
