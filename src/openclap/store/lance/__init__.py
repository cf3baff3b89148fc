"""The store past one machine: tables of LanceDB, in a folder or on object storage."""
