"""Files with their windows → one SQLite file, and a mapped array beside it that makes searching fast."""
