"""The command line: each verb reads its arguments, calls one function, shows the result."""
