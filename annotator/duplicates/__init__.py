"""What two texts have in common: runs of syllables, near duplicates, passages that stand in a benchmark."""
