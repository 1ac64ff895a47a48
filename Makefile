# tsrun: `make run` builds and runs the example on simulated controllers,
# `make test` runs every test that this machine can run.

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
# Without tables for debuggers a program is a third smaller, and each plugin is hashed
# at the start of each run; what a panic prints is the same.
LDFLAGS := -s -w -X main.version=$(VERSION)
PLUGINS := tc-ethernet tc-serial sink-file sink-parquet sink-nats
# Plugins that need much which nothing else does are modules of their own.
MODULES := $(patsubst %/,%,$(dir $(wildcard plugins/*/go.mod)))
LONG    := $(addprefix ./,$(filter-out $(addsuffix /,$(MODULES)),$(sort $(dir $(wildcard */*_long_test.go */*/*_long_test.go)))))
RECIPE  ?= recipes/coincidence.yaml
OTHERS  := darwin/arm64 windows/amd64
TESTED  ?= ./...
REPORT  ?= test

PREFIX  ?= /usr/local
# Where zsh looks by itself, of a Debian package and below /usr/local.
ZSHDIR  := share/zsh/$(if $(filter /usr,$(PREFIX)),vendor-completions,site-functions)
# A Debian package's version begins with a digit; a build without a tag has that of its commit.
DEBARCH ?= $(shell $(GO) env GOARCH)
DEBVERSION ?= $(shell echo '$(VERSION)' | sed -E 's/^v([0-9])/\1/; s/-/+/g; s/^([0-9a-f]{7,}([+].*)?|[^0-9].*)$$/0~git\1/')
# Who made the package: as git knows, or nobody in particular.
MAINTAINER ?= $(shell n=$$(git config user.name) && m=$$(git config user.email) && echo "$$n <$$m>" || echo 'the authors of tsrun <tsrun@example.org>')
NFPM    ?= $(GO) run github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.2

# Of a checkout that belongs to another user git says nothing, and go would build nothing.
ifneq ($(shell git rev-parse --git-dir >/dev/null 2>&1; echo $$?),0)
export GOFLAGS := $(shell $(GO) env GOFLAGS) -buildvcs=false
endif

.PHONY: help build man install deb clean-root run test test-modules test-long truth readme pictures bench bench-compare bench-transfer bench-trigger bench-scale bench-page lint lint-code lint-house lint-others lint-static ci-deps clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/tsrun and bin/plugins/*
	@umask go-w; mkdir -p bin/plugins # plugins that anyone may change are refused
	@echo 'building: the first time takes a minute or two'
	umask go-w; CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/tsrun ./cmd/tsrun
	@umask go-w; for p in $(PLUGINS); do \
		CGO_ENABLED=0 $(GO) build -C plugins/$$p -trimpath -ldflags '$(LDFLAGS)' -o '$(CURDIR)'/bin/plugins/$$p . && \
		bin/plugins/$$p --describe > bin/plugins/$$p.json || exit 1; \
	done

man: build ## write the manual pages into bin/man1
	bin/tsrun man bin/man1

install: man ## put tsrun, plugins, recipes, manual pages, completion and the licences of others below PREFIX (default /usr/local)
	install -d $(addprefix $(DESTDIR)$(PREFIX)/,bin lib/tsrun/plugins share/man/man1 share/tsrun/recipes/recordings share/tsrun/python \
		share/bash-completion/completions $(ZSHDIR) share/fish/vendor_completions.d)
	install bin/tsrun $(DESTDIR)$(PREFIX)/bin
	for p in $(PLUGINS); do install bin/plugins/$$p $(DESTDIR)$(PREFIX)/lib/tsrun/plugins && \
		install -m 644 bin/plugins/$$p.json $(DESTDIR)$(PREFIX)/lib/tsrun/plugins || exit 1; done
	install -m 644 bin/man1/*.1 $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 recipes/*.yaml recipes/schema.json $(DESTDIR)$(PREFIX)/share/tsrun/recipes
	install -m 644 recipes/recordings/* $(DESTDIR)$(PREFIX)/share/tsrun/recipes/recordings
	install -m 644 python/tsrun.py $(DESTDIR)$(PREFIX)/share/tsrun/python
	packaging/notices > $(DESTDIR)$(PREFIX)/share/tsrun/third-party.txt
	bin/tsrun completion bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/tsrun
	bin/tsrun completion zsh > $(DESTDIR)$(PREFIX)/$(ZSHDIR)/_tsrun
	bin/tsrun completion fish > $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/tsrun.fish

deb: build ## make the Debian package bin/tsrun_VERSION_ARCH.deb
	rm -rf bin/deb
	$(MAKE) -o build install DESTDIR=bin/deb PREFIX=/usr
	gzip -9nf bin/deb/usr/share/man/man1/*.1
	gzip -9nc CHANGELOG.md > bin/news.gz
	printf 'tsrun (%s) unstable; urgency=medium\n\n  * What is new is in NEWS.gz.\n\n -- %s  %s\n' \
		'$(DEBVERSION)' '$(MAINTAINER)' "$$(date -R)" | gzip -9nc > bin/changelog.gz
	ARCH=$(DEBARCH) VERSION=$(DEBVERSION) MAINTAINER='$(MAINTAINER)' $(NFPM) package --config packaging/nfpm.yaml --packager deb --target bin/

clean-root: deb ## install the package in a clean root; check, run, upgrade, remove and purge it there; needs root
	packaging/clean-root bin/tsrun_$(DEBVERSION)_$(DEBARCH).deb

run: build ## run RECIPE (default recipes/coincidence.yaml) on simulated controllers
	bin/tsrun $(RECIPE)

test: build $(if $(filter ./...,$(TESTED)),test-modules) ## run all tests; what this machine lacks is skipped and listed
	@echo 'testing: a line for each package as it is done, and every half minute for those still at work'
	@{ $(GO) test $(GOTESTFLAGS) -json $(TESTED); echo $$? > bin/$(REPORT).status; } | tee bin/$(REPORT).json | $(GO) run ./internal/testreport; \
	exit $$(cat bin/$(REPORT).status)

test-modules: build ## run the tests of plugins that are modules of their own
	@bad=0; for m in $(MODULES); do $(GO) test -C $$m -trimpath ./... || bad=1; done; exit $$bad # as build compiles: once

test-long: build ## run the tests that take minutes, without the race detector; PART=1: fewer trials
	@{ TSRUN_TEST_LONG=$(if $(PART),part,1) $(GO) test -p 1 -parallel 4 -timeout 20m -run '^TestLong' -json $(LONG); echo $$? > bin/$(REPORT)-long.status; } | \
	tee bin/$(REPORT)-long.json | $(GO) run ./internal/testreport -each; \
	for m in $(MODULES); do TSRUN_TEST_LONG=$(if $(PART),part,1) $(GO) test -C $$m -timeout 20m -run '^TestLong' ./... || exit 1; done; \
	exit $$(cat bin/$(REPORT)-long.status)

truth: ## measure what is stated against known truth; PART=1: a share that takes minutes, TABLES="NAME ...": only these; FROM=1: other records
	$(GO) run ./internal/truth $(if $(PART),-part) $(if $(FROM),-from $(FROM)) $(TABLES)

readme: build ## write the picture of a run in README.md anew
	$(GO) test ./e2e -run TestReadmeShowsWhatARunShows -count=1 -update-readme

pictures: ## make the pictures of README.md from a run; needs chromium
	TSRUN_PICTURES='$(CURDIR)'/docs/pictures $(GO) test ./e2e -run TestPicturesOfTheReadme -count=1 -timeout 10m

bench: build ## measure speed, as ratios within one run
	@$(GO) run ./internal/benchcompare -machine
	@$(GO) test -p 1 -run '^$$' -bench . -benchtime 200ms ./... > bin/bench.txt; status=$$?; \
	grep -E '^(pkg|Benchmark|---|panic|FAIL)' bin/bench.txt; exit $$status

bench-compare: ## say which benchmarks are slower than at the commit BASE by more than 5 %; ONLY=regexp: these, ROUNDS=5: how often each
	@$(GO) run ./internal/benchcompare -base '$(BASE)' $(if $(ONLY),-only '$(ONLY)') $(if $(ROUNDS),-rounds $(ROUNDS))

bench-transfer: ## bring a file over as tsrun, bare TCP, rsync and scp do; MIB=256: a shorter one
	$(GO) run ./internal/transferbench $(if $(MIB),-mib $(MIB))

bench-trigger: ## how far apart two nodes in two networks fire and their controllers start, at rest and with one core busy; needs root
	$(GO) run ./internal/triggerbench

bench-scale: build ## what a master costs against the number of its nodes; NODES=2,5,10,20: which
	$(GO) run ./internal/scalebench $(if $(NODES),-nodes $(NODES))

bench-page: build ## what a page costs a run at 2, 5, 10 and 20 million tags/s, and how many are kept; RATES=2,5: which, ROUNDS=3: how often
	$(GO) run ./internal/pagebench $(if $(RATES),-rates $(RATES)) $(if $(ROUNDS),-rounds $(ROUNDS))

lint: lint-code lint-house lint-others lint-static ## formatting, vet, staticcheck, the rules of the house; builds what runs on macOS and Windows

lint-code:
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo 'run gofmt -w on these'; exit 1; }
	$(GO) vet ./...
	@for m in $(MODULES); do $(GO) vet -C $$m -trimpath ./... || exit 1; done # with what build has compiled

lint-house:
	$(GO) test ./internal/house

lint-others:
	@for s in $(OTHERS); do echo "building for $$s"; GOOS=$${s%/*} GOARCH=$${s#*/} CGO_ENABLED=0 $(GO) build -o /dev/null ./cmd/tsrun || exit 1; done

lint-static:
	$(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...
	@for m in $(MODULES); do (cd $$m && GOFLAGS="$$($(GO) env GOFLAGS) -trimpath" $(GO) run -trimpath=false honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...) || exit 1; done

ci-deps: ## install the Debian packages that some tests need
	apt-get update -q
	apt-get install -y -q --no-install-recommends python3-zmq python3-grpcio python3-protobuf python3-numpy python3-pandas jq iproute2 linuxptp chrony chromium prometheus systemd lintian

clean: ## remove what was built
	rm -rf bin
