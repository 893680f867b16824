{
    "name": "CRM Archive Policy: Job Queue",
    "summary": "Archive runs are worked through by the job queue, on several servers",
    "version": "19.0.1.0.0",
    "category": "Sales/CRM",
    "author": "The crm_archive_policy authors",
    "license": "LGPL-3",
    "depends": ["crm_archive_policy", "queue_job"],
    "data": ["data/queue_job_data.xml"],
    "auto_install": True,
    "installable": True,
}
