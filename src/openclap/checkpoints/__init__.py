"""Checkpoints: a name or a path in, configuration, weights and tokenizer out; all file formats are known here alone."""
