# Verbs of SparkDesk; `make help` lists them. The work itself is done by packaging/bootstrap.sh.
.PHONY: lint
lint:
	.venv/bin/ruff check .
