from . import audit, main, subject
