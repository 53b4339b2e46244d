# `make` alone lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

BASE_PYTHON ?= python3
PYTHON := .venv/bin/python
WORKERS ?= 2
TESTS ?= tests
SEEDS ?= 0,1,2,3,4
PARTS := demo hacked methods real kill
OFFLINE := HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1 HF_HUB_DISABLE_TELEMETRY=1

.PHONY: help env demo loop-demo study ui smoke test test-ui check format acceptance $(PARTS:%=acceptance-%) optimum overoptimization promotion loop-study bench lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile
	@echo "  make acceptance-X     one part of it: $(PARTS)"

env: .venv/.ready ## .venv with the exact versions of requirements.lock

# .ready is written last. An environment that was interrupted half-way (.unfinished) is made anew; one that
# is only older than the lock is brought up to date in place.
.venv/.ready: requirements.lock pyproject.toml
	@if [ -e .venv/.unfinished ]; then mv .venv .venv.broken; fi
	@rm -rf .venv.broken
	@mkdir -p .venv && rm -f .venv/.ready && touch .venv/.unfinished
	$(BASE_PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one by BASE_PYTHON=...")'
	$(BASE_PYTHON) -m venv .venv
	$(PYTHON) -m pip install --disable-pip-version-check -r requirements.lock
	$(PYTHON) -m pip install --disable-pip-version-check --no-deps --no-build-isolation -e .
	@rm .venv/.unfinished && touch .venv/.ready

demo: env ## SFT, reward model, PPO, evaluation on the embedded world: offline, on a CPU
	$(OFFLINE) $(PYTHON) -m rlhf.run stage=all name=demo

loop-demo: env ## the online loop: three rounds, simulated raters who are right in four of five, on the embedded world
	$(OFFLINE) $(PYTHON) -m rlhf.run stage=loop name=loop-demo stage.rounds=3 stage.first_budget=4500 stage.budget=2250 \
		stage.raters=simulated stage.raters_per_item=3 stage.simulated.skill=0.8 stage.rm.judge_share=0 stage.ppo.total_episodes=2560

study: env ## after demo: DPO, best-of-n, learning curves, and the evaluation with them
	$(OFFLINE) $(PYTHON) -m rlhf.run stage=study name=demo
	$(OFFLINE) $(PYTHON) -m rlhf.run stage=eval name=demo

ui: env ## the feedback page with a small campaign in English and Chinese, for one person at this machine
	$(OFFLINE) $(PYTHON) -m feedback_ui serve --samples

smoke: env ## the same in under a minute: it shows that everything runs, not that anything is learnt
	$(OFFLINE) $(PYTHON) -m rlhf.run stage=all preset=smoke name=smoke

test: env ## the tests, those marked slow or browser left out; TESTS=tests/algos for a part, WORKERS=8 for more at once
	$(OFFLINE) OMP_NUM_THREADS=1 $(PYTHON) -m pytest -n $(WORKERS) --dist loadfile -m "not slow and not browser" $(TESTS)

test-ui: env ## the feedback page in Chromium: every way of giving feedback, faults, attacks; CHROMIUM=/path
	$(OFFLINE) OMP_NUM_THREADS=1 $(PYTHON) -m pytest -m browser tests/feedback_ui

check: env ## style, types, import order, configurations, documented commands
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m pyright
	$(PYTHON) scripts/check_imports.py
	$(PYTHON) scripts/check_configs.py
	$(PYTHON) scripts/check_fields.py
	$(OFFLINE) $(PYTHON) scripts/check_docs.py

format: env ## put the code into its style
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

acceptance: $(PARTS:%=acceptance-%) ## the long measurements, written to docs/results/; SEEDS=0,1,2,3,4

$(PARTS:%=acceptance-%): acceptance-%: env
	$(OFFLINE) $(PYTHON) scripts/acceptance.py $* --seeds $(SEEDS)

optimum: env ## PPO against the exact optimum of small tasks, written to docs/results/; WORDS="stage.lam=0.95 ..."
	$(OFFLINE) $(PYTHON) scripts/check_optimum.py --out docs/results $(WORDS)

overoptimization: env ## gold and learnt reward against KL, best-of-n and PPO, written to docs/results/; hours; WORDS="--seeds 0 ..."
	$(OFFLINE) $(PYTHON) scripts/study_overoptimization.py --out docs/results $(WORDS)

promotion: env ## how surely the loop promotes what is better, and stops what is worse, written to docs/results/
	$(OFFLINE) $(PYTHON) scripts/check_promotion.py --out docs/results $(WORDS)

loop-study: env ## rounds against one shot, strategies, raters who err, written to docs/results/; many hours; WORDS="--parts a --seeds 0 ..."
	$(OFFLINE) $(PYTHON) scripts/study_loop.py --out docs/results $(WORDS)

bench: env ## PPO beside TRL 1.12.0: speed, memory, learning curves; hours, on a machine that does nothing else
	$(PYTHON) scripts/bench_ppo.py --out docs/results --page docs/performance.md
	$(PYTHON) scripts/bench_ppo.py --curves --out docs/results
	$(PYTHON) scripts/bench_ppo.py --leak --out docs/results
	$(PYTHON) scripts/bench_memory.py --out docs/results

lock: env ## renew requirements.lock; torch stays unless TORCH=2.14.0 is given
	$(PYTHON) scripts/lock.py $(TORCH:%=torch==%)

clean: ## remove what was built; keeps .venv and runs/
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +
