{
    "name": "Customer Cards",
    "summary": "Shows how a model of one's own joins the archive lifecycle",
    "version": "19.0.1.0.0",
    "author": "The crm_archive_policy authors",
    "license": "LGPL-3",
    "category": "Hidden",
    "depends": ["crm_archive_policy"],
    "data": ["security/ir.model.access.csv"],
}
