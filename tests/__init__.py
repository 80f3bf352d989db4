"""Tests of the packages and of the command line, and what they share."""
