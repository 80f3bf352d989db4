"""Put every question to the teacher once: concurrency, limits, retries and pauses, online or by batch."""
