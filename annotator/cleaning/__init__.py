"""From completions to annotations: parse replies, normalise labels, find mentions in their passages."""
