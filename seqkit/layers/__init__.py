"""Keras layers: loops over time, encoders of tokens, heads of taggers."""
