"""Makes the modules of the demo importable by the names that they have for each other."""

import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"
sys.path.insert(0, str(EXAMPLES / "signup_demo"))
