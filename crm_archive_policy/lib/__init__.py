"""Plain Python shared by the models and by the command line; imports no odoo."""
