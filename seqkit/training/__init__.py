"""Batches, the fit loop, optimizers, checkpoints."""
