"""``python -m actionbus.provisioner.dashboards`` writes every dashboard into its place in a checkout."""

import sys

from actionbus.provisioner.dashboards.files import main

if __name__ == "__main__":
    main(sys.argv[1:])
