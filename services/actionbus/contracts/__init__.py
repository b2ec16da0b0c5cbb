"""What crosses a process: records, identifiers, topics, limits and errors. Nothing here does I/O or decides."""
