from . import crm_archive_wizard
from . import crm_archive_keep
from . import crm_archive_restore
from . import crm_archive_preview
from . import crm_archive_explanation
from . import crm_archive_hold_lift
from . import crm_archive_retention_wizard
from . import base_partner_merge_automatic_wizard
