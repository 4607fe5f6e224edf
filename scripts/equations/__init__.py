"""Hold the equations of a text against the code that it is about.

The LaTeX that the reader sees is read with the notation table that the reader
sees, evaluated on random draws, and compared with what the module computes.
"""
