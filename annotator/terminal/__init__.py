"""Progress bars, and errors as one line with an exit code."""
