"""The store on this machine: one SQLite file is the truth, an array beside it makes searching fast."""
