# Systole. `make` alone lists what there is; README.md tells the story.

SHELL       := /bin/bash
.SHELLFLAGS := -o pipefail -ec
.DEFAULT_GOAL := help

export CGO_ENABLED = 0

# The version is the one Git stamps into the binary; a source archive has none.
VCS   := $(shell git rev-parse HEAD >/dev/null 2>&1 && echo -buildvcs=true || echo -buildvcs=false)
BUILD := go build -trimpath $(VCS) -ldflags=-s

# Names that people, crmsh, pcs and agents call; each is a link to the multi-call binary.
TOOLS := cibadmin crm_mon crm_resource crm_node crm_attribute crm_verify crm_diff crm_simulate crm_shadow \
	crm_standby crm_failcount crm_ticket crm_rule stonith_admin attrd_updater crmadmin iso8601 crm_error \
	crm_master pacemakerd cibsecret corosync-quorumtool corosync-cfgtool ipvsadm

# The daemons that crmsh and pcs ask for their version and options.
DAEMONS := pacemaker-based pacemaker-controld pacemaker-fenced pacemaker-schedulerd

# Native agents, linked too so that other cluster managers can run them as OCF scripts.
AGENTS := Delay Dummy Filesystem IPaddr2 IPsrcaddr Route Stateful exportfs httpd ipvs mysql nfsserver nginx php-fpm realserver wordpress

PREFIX     ?= /usr
DESTDIR    ?=
VERSION    ?= 0.$(shell git log -1 --format=%cd.g%h --date=format:%Y%m%d)
SEED       ?=
COUNT      ?= 300
NODES      ?=
TIME       ?= 60s
FUZZTIME   ?= 30s
CHECKS     ?= 10000
LABTIME    ?= 20m
CASES      ?= ../shared/scheduler-cases
STATICCHECK = go run honnef.co/go/tools/cmd/staticcheck@v0.8.2

##@ Using it

help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build everything into bin/
	@mkdir -p bin
	$(BUILD) -o bin/ ./cmd/systoled ./cmd/crm
	@for t in $(TOOLS) $(DAEMONS); do ln -sfn crm bin/$$t; done

install: build ## install into DESTDIR with PREFIX (default /usr), with the systemd unit
	install -D -m 755 bin/systoled $(DESTDIR)$(PREFIX)/sbin/systoled
	install -D -m 755 bin/crm $(DESTDIR)$(PREFIX)/sbin/crm
	@for t in $(TOOLS); do ln -sfn crm $(DESTDIR)$(PREFIX)/sbin/$$t; done
	install -d -m 755 $(DESTDIR)$(PREFIX)/lib/pacemaker
	@for d in $(DAEMONS); do ln -sfn ../../sbin/crm $(DESTDIR)$(PREFIX)/lib/pacemaker/$$d; done
	install -d -m 755 $(DESTDIR)$(PREFIX)/lib/ocf/resource.d/systole
	@for a in $(AGENTS); do ln -sfn ../../../../sbin/crm $(DESTDIR)$(PREFIX)/lib/ocf/resource.d/systole/$$a; done
	install -D -m 644 conf/systemd/systoled.service $(DESTDIR)/lib/systemd/system/systoled.service
	install -D -m 644 conf/systemd/systole.sysusers $(DESTDIR)/usr/lib/sysusers.d/systole.conf
	install -D -m 644 conf/systemd/systole.tmpfiles $(DESTDIR)/usr/lib/tmpfiles.d/systole.conf
	install -D -m 644 conf/schema/systole.rng $(DESTDIR)$(PREFIX)/share/pacemaker/systole.rng
	@for v in 1 2 3 4 5 6 7 8 9 10; do ln -sfn systole.rng $(DESTDIR)$(PREFIX)/share/pacemaker/pacemaker-3.$$v.rng; done
	install -D -m 644 conf/generated/crm.8 $(DESTDIR)$(PREFIX)/share/man/man8/crm.8
	install -D -m 644 conf/generated/crm.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/crm
	install -D -m 644 conf/generated/crm.zsh $(DESTDIR)$(PREFIX)/share/zsh/vendor-completions/_crm
	install -D -m 644 conf/generated/crm.fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/crm.fish
	install -d -m 755 $(DESTDIR)$(PREFIX)/share/doc/systole
	install -m 644 README.md LICENSE $(DESTDIR)$(PREFIX)/share/doc/systole/

package: ## a Debian package in build/ (VERSION=1.0.0)
	rm -rf build/root
	$(MAKE) --no-print-directory install DESTDIR=$(CURDIR)/build/root
	conf/packaging/deb.sh build/root $(VERSION) build

demo: build demo-tool ## three nodes, a virtual IP and nginx through four failures, in namespaces (KEEP=1 leaves it up)
	@bin/systole-demo run $(if $(KEEP),--keep)

demo-down: demo-tool ## end a demo left up by KEEP=1
	@bin/systole-demo down

demo-tool:
	@mkdir -p bin
	$(BUILD) -o bin/systole-demo ./integration/demo

##@ Proving it

check: ## formatting, vet, staticcheck, tidy modules
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo 'remedy: gofmt -w'; exit 1; }
	go vet ./...
	$(STATICCHECK) ./...
	go mod tidy -diff

test: build ## unit, golden, property, fuzz-seed, script and namespace tests
	go test $(TESTFLAGS) ./...

race: ## the same under the race detector (needs a C compiler)
	CGO_ENABLED=1 go test -race ./crm/... ./resources/... ./agents/...

sim: ## whole clusters in virtual time under seeded faults (SEED= COUNT= NODES=)
	SYSTOLE_SIM_SEED=$(SEED) SYSTOLE_SIM_COUNT=$(COUNT) SYSTOLE_SIM_NODES=$(NODES) go test -count=1 -timeout 30m -run 'TestSim$$' -v ./integration/sim

sim-mutants: ## break the product on purpose; each break must turn the simulation red
	go test -tags mutants -count=1 -timeout 30m -run 'TestMutants$$' -v ./integration/sim

chaos: build demo-tool ## real daemons in namespaces under seeded faults (SEED= TIME=60s)
	@bin/systole-demo chaos $(if $(SEED),--seed $(SEED)) --time $(TIME)

lab: build ## real kernels: power cuts, frozen nodes, fencing, in User-Mode Linux (RUN=name for one suite; root)
	$(BUILD) -o bin/lab-guest ./integration/lab/guest
	SYSTOLE_LAB=1 SYSTOLE_LAB_BIN=$(CURDIR)/bin SYSTOLE_LAB_DIR=$(CURDIR)/build/lab \
		go test -count=1 -timeout $(LABTIME) -p 1 -v $(if $(RUN),./integration/lab/$(RUN),./integration/lab/...)

lab-full: ## every suite of the lab with every variant of the site, and all tables at the end (RUN=three for one suite; 45 minutes; root)
	@mkdir -p build; status=0; \
	SYSTOLE_LAB_FULL=1 $(MAKE) --no-print-directory lab LABTIME=60m 2>&1 | tee build/lab-full.log || status=$$?; \
	grep -E '^(\||.*, detect-within )' build/lab-full.log || true; exit $$status

prop: ## property tests with CHECKS random inputs each
	go test -count=1 -run Prop -timeout 60m $$(git grep -l pgregory.net/rapid -- '*_test.go' | xargs -n1 dirname | sort -u | sed 's,^,./,') -rapid.checks=$(CHECKS)

prop-scheduler: ## plan for CHECKS random clusters with every feature mixed
	go test -count=1 -run Prop -timeout 20m ./crm/scheduler ./crm/recheck ./crm/status -rapid.checks=$(CHECKS)

fuzz: ## fuzz one target: make fuzz PKG=./crm/cib TARGET=FuzzParse FUZZTIME=30s
	go test -run '^$$' -fuzz '^$(TARGET)$$' -fuzztime $(FUZZTIME) $(PKG)

parity: build ## score the scheduler against the reference's cases in CASES
	@test -d $(CASES) || { echo "parity: no cases in $(CASES); the project's own golden cases still run: go test ./crm/scheduler"; exit 0; }; \
	test ! -d $(CASES) || go run ./integration/parity -cases $(CASES) -cmd bin/crm_simulate -floor integration/parity/floor

gen: build ## manual page and completion scripts, from the command tree
	@mkdir -p conf/generated
	bin/crm generate manual > conf/generated/crm.8
	@for s in bash zsh fish; do bin/crm generate $$s > conf/generated/crm.$$s; done

golden: ## rewrite golden files, then show what changed
	go test ./crm/scheduler ./crm/display ./crm/explain -rewrite; git diff --stat

cover: ## coverage by package
	go test -cover ./...

vuln: ## known vulnerabilities in what we link
	go run golang.org/x/vuln/cmd/govulncheck@v1.9.0 ./...

##@ Measuring it

bench: build demo-tool ## store and scheduler; then tools, 100 resources, idle daemons and a cold start on three nodes
	go test -run '^$$' -bench . -benchtime 2s ./crm/store ./crm/command ./crm/cib ./crm/scheduler
	@bin/systole-demo load

bench-checks: ## lag and processor time of checking 1000 real servers each second on one core (TIME=60s)
	go test -run '^$$' -bench Second -benchtime $(patsubst %s,%,$(TIME))x ./agents/check/runner

bench-scheduler: build ## processor time and memory of scheduling, beside Debian's crm_simulate (ROWS=all REPS=3)
	go run ./integration/schedbench -ours bin/crm_simulate $(if $(ROWS),-rows $(ROWS)) -reps $(or $(REPS),3)

bench-failover: build demo-tool ## client outages by cause, with their phases (TRIALS=20 D=500ms)
	@bin/systole-demo failover --trials $(or $(TRIALS),20) --detect-within $(or $(D),500ms)

bench-quiet: build demo-tool ## false alarms in ten idle minutes and two busy ones (D=500ms)
	@bin/systole-demo quiet --time 10m --detect-within $(or $(D),500ms)
	@bin/systole-demo quiet --time 2m --detect-within $(or $(D),500ms) --burn $$(nproc)

##@ Keeping house

ci-bare: ## run .ci/run in a fresh Debian 12 root plus Go (root; needs debootstrap)
	.ci/bare

clean: ## remove what was built
	rm -rf bin build

.PHONY: help build install package demo demo-down demo-tool check test race sim sim-mutants chaos lab lab-full prop prop-scheduler fuzz parity golden cover vuln bench bench-checks bench-failover bench-quiet ci-bare clean
