"""The orchestrator: runs advance here. Read `shard`, then `takeover`, `tenure`, `fold`, `batch`."""
