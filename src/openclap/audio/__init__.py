"""Audio: sounds of any kind in, samples and clips of log-mel out (load → clips → mel). Needs no torch."""
