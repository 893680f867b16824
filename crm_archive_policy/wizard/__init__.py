from . import crm_archive_wizard
from . import crm_archive_preview
from . import crm_archive_explanation
