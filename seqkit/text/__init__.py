"""Text to numbers, in graphs of core TensorFlow ops; word vectors."""
