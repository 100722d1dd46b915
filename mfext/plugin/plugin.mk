# Included by the Makefile of every plugin: include $(shell metwork plugins makefile)
# Each target is one command which also works alone.
.DEFAULT_GOAL := all
.PHONY: all help check test develop release clean uninstall

all: check test  ## check and test the plugin

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

check:  ## check configuration, code and commands, and how they go with the installed plugins
	@plugins.check .

test:  ## run the tests of the plugin
	@metwork plugins test .

develop:  ## put this folder into the module: its plugin restarts when these files change
	_plugins.develop .

release:  ## build the archive that plugins.install takes
	@plugins.release .

clean:  ## remove what running and testing leave behind
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

uninstall:  ## take the plugin out of the module; this folder stays as it is
	@plugins.uninstall .
