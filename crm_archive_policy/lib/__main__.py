"""Command line: ``python -m lib`` in the add-on's folder, or ``python …/lib``.

``python -m crm_archive_policy.lib`` works too where Odoo can be imported, which the
package itself asks for. Nothing else here needs Odoo or a database.
"""

import os
import sys

if __package__:
    from .cli import main
else:
    # Run as a folder: that folder's own modules must not shadow packages.
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [path for path in sys.path if os.path.abspath(path) != here]
    sys.path.insert(0, os.path.dirname(here))
    from lib.cli import main

if __name__ == "__main__":
    sys.exit(main())
