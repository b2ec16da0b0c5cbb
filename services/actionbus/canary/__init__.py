"""The canary: small runs without end on a live installation, and a ledger that says what became of each."""
