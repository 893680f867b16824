# Everything a person does here, by name. What it needs is prepared by scripts/host.
.DEFAULT_GOAL := help
.PHONY: run test test-odoo bench screenshots lint format help stop clean distclean

run: ## Odoo with an aged customer base and the policies at work (SERVE=0, PORT=8069, DB=)
	@scripts/run

test: ## the whole test suite; a part: T="crm_archive_policy/tests/test_x.py" K=words
	@scripts/test

test-odoo: ## Odoo's own CRM tests, with this add-on installed
	@scripts/test-odoo

bench: ## how fast it is, on a PostgreSQL with default settings
	@scripts/bench

screenshots: ## take every picture of the handbook anew, in each language
	@scripts/screenshots

lint: ## ruff, pylint-odoo, prettier, eslint
	@scripts/lint

format: ## put the code into the form that lint wants
	@scripts/lint --fix

stop: ## stop the private PostgreSQL
	@scripts/host --stop

clean: ## remove this project's databases, clusters and files; Odoo itself stays
	@scripts/host --clean

distclean: ## remove the whole cache, with Odoo and the Python environment
	@scripts/host --distclean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
