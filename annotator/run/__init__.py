"""The method as a whole: ``stages`` has its stages in order, ``runner`` skips those that are current."""
