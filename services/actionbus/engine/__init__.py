"""What should happen next: a pure function from a run and an input to the run that follows.

Read ``advance`` first: one table of cases, each with a file of its own. ``shapes`` holds one file for every kind of
node, ``progress`` lets nodes follow one another, ``draft`` is the working copy that one call of ``advance`` writes to,
and ``dispatch`` derives the commands that a run has out. No clock, randomness, I/O, logging or asyncio in here.
"""
