# Included by the Makefile of every plugin: include $(shell metwork plugins makefile)
# Each target is one command which also works alone.
.DEFAULT_GOAL := all
.PHONY: all help check test develop clean uninstall

#: The Python that runs plugins; it lies beside the commands.
PYTHON ?= $(shell metwork plugins python)

all: check test  ## check and test the plugin

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(lastword $(MAKEFILE_LIST))

check:  ## check configuration, code and rules
	@plugins.check .

test:  ## run the plugin's tests
	@$(PYTHON) -m pytest -q tests

develop:  ## dev-link this folder: its plugin runs from here and restarts when its files change
	@_plugins.develop .

clean:  ## remove what running and testing leave behind
	@find . -name __pycache__ -prune -exec rm -rf {} + ; rm -rf .pytest_cache

uninstall:  ## take the plugin out of the module; this folder stays as it is
	@plugins.uninstall .
