"""Moving rows between the live tables and bundles, with SQL over whole batches.

Knows Odoo's registry and PostgreSQL's catalogue; what a lead or a policy is, is the
business of the models. ``catalog`` → ``graph`` → ``capture`` → ``removal`` one way,
``catalog`` → ``restore`` the other.
"""
