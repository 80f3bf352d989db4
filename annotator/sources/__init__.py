"""Where documents come from: finding the files, reading their records, drawing a sample, leaving out what is unfit."""
