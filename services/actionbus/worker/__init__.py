"""The worker service: performs actions, each as often as its effect allows, and answers with results."""
