"""The command line: one file for each group of commands. Every command is a few calls into other rooms."""
