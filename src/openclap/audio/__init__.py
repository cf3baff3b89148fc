"""Sound in: any file or wave → mono samples → clips → log-mels. Needs numpy, soundfile, soxr and PyAV, never torch."""
