"""Forecast what a build or a check costs: requests, tokens, money and time."""
