"""The command line: arguments come in, one function is called for each verb, tables or JSON lines go out."""
