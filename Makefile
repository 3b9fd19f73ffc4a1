# Each target installs what it needs; see README.md.
.DEFAULT_GOAL := help
PYTHON ?= python3
