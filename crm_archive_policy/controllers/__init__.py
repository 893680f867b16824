from . import audit, main
