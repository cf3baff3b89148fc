"""Sounds in, log-mels out: load → clips → mel. Knows nothing of models, torch or libraries of vectors."""
