# Each target is one line that calls a command which also works alone. `make help` lists them.
.DEFAULT_GOAL := help
# Plugins have Makefiles too, and tests and demo call them: they shall say no more than by themselves.
MAKEFLAGS += --no-print-directory
# Each process would compile all of its modules anew.
unexport PYTHONDONTWRITEBYTECODE
.PHONY: help setup demo test unit lint format docs bench upgrade-under-load install-kills job-kills conformance rpm deb model crash-matrix bad-day soak systemd clean

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/ready  ## make .venv with every command in .venv/bin (quick when already done)
	@:

.venv/ready: requirements.lock setup.cfg pyproject.toml tools/setup tools/system-packages tools/find-python
	@tools/setup

demo: setup  ## watch the framework do its job; KEEP=1 leaves it running
	@.venv/bin/python -m demo $(if $(KEEP),--keep)

test: setup  ## run every test, on all cores; ONLY=mfserv (mfext, mfdata, system, ...) runs those of a part
	@tools/system-packages serv rpm test load
	@tools/test $(ONLY)

unit: setup  ## run the tests that need no process and no server
	@JOBS=$${JOBS:-$$(nproc)} tools/test unit

lint: setup  ## check style, types, security, known vulnerabilities, generated pages, fragments of the changelog
	@tools/lint

format: setup  ## put the source into its one form
	@tools/format

docs: setup  ## write docs/reference from the declarations
	@tools/docs

bench: setup  ## measure, beside the reference
	@tools/system-packages serv load
	@tools/bench

rpm: setup  ## build the RPMs of all modules and layers into dist/, a repository for dnf
	@tools/system-packages rpm
	@tools/rpm

deb: setup  ## build the same as .deb, for a Debian, into dist/
	@tools/rpm --deb

model:  ## search every state of the claim-commit-recover protocol (needs spin)
	@tools/model

crash-matrix: setup  ## die at every commit point, and in every bad world; long
	@tools/crash-matrix

bad-day: setup  ## a stuck, a leaking, a crashing step, a server that is away: what the operator sees
	@tools/bad-day

soak: setup  ## SECONDS=1800 of 200 files/s with a kill every few seconds
	@tools/soak $(SECONDS)

upgrade-under-load: setup  ## upgrade services while wrk asks them, kill workers: requests sent, failed (minutes)
	@tools/upgrade-under-load

install-kills: setup  ## kill 200 installations of plugins at random instants (ten minutes)
	@tools/install-kills

systemd: setup  ## boot a copy of this machine: the units of the RPMs under a systemd of its own (root; three minutes)
	@tools/system-packages serv rpm systemd
	@tools/systemd

conformance: setup  ## look whether jobs conform to OGC API - Processes and to their own OpenAPI document
	@tools/conformance

job-kills: setup  ## kill gateways, runners, RabbitMQ and redis while jobs are submitted (two minutes)
	@tools/system-packages serv test
	@tools/job-kills

clean:  ## remove what the other targets made (asks before what is dear: .venv, build, dist, run)
	@tools/clean
