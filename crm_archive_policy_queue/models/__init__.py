from . import crm_archive_run
