"""What a user writes: actions, workflows and their errors. How they are run is the worker's and the engine's affair."""
