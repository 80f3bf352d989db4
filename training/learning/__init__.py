"""Fine-tuning: recipes, mixing, training in stages, merging, and experiments that train, predict and score."""
