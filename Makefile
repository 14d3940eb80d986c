# Each target sets up what it needs; the scripts behind them are what CI runs.
.PHONY: demo test check bench soak load fuzz e2e lock clean

demo:    ## set everything up and run the main job on the embedded workspace
	@scripts/setup run
	@.venv/bin/ccr demo

test:    ## all tests, with the real Claude Code client, a real browser and the coverage bounds
	@scripts/setup dev
	@scripts/install-claude
	@scripts/install-chromium
	@scripts/test

e2e:     ## only the sessions of the real client
	@scripts/setup dev
	@scripts/install-claude
	@.venv/bin/python -m pytest tests/e2e

check:   ## formatting, lint, types, layers, lock files, docs
	@scripts/setup dev
	@scripts/check

bench:   ## direct, nginx and ccr side by side; prints ratios
	@scripts/setup run
	@bench/run

soak:    ## mixed load with faults: make soak MINUTES=60; at the end everything must be as it was
	@scripts/setup run
	@.venv/bin/python bench/soak.py --minutes $(or $(MINUTES),3)

load:    ## 1000 open streams, 100 bodies of 8 MB at once
	@scripts/setup run
	@bench/build
	@.venv/bin/python bench/load.py

fuzz:    ## new inputs for decoders, streams and conversions: make fuzz FUZZ_SECONDS=600
	@scripts/setup dev
	@scripts/fuzz $(or $(FUZZ_SECONDS),60)

lock:    ## write requirements/*.txt anew
	@scripts/setup dev
	@scripts/lock

clean:
	rm -rf .venv .cache .coverage-data .mypy_cache .ruff_cache .pytest_cache bench/bin bench/bodies
