"""From scores of the next token to sequences: sampling and beam search, each one loop in the graph."""
