# The front door for developers. `make check` is what to run before a commit.

SWIFT ?= swift
TSAN_SCRATCH ?= .build/tsan
# The tree of the tests: optimized like what is shipped, with `@testable import` (Package.swift).
TESTABLE_TREE ?= $(CURDIR)/.build/testable
SOURCES = Sources Tests Benchmarks/Core Kubernetes/Sources Kubernetes/Tests \
  Kubernetes/Package.swift Examples Package.swift

MODEL_STEPS ?= 1000000
COMPACTION_STEPS ?= 1000000
DIFFERENTIAL_STEPS ?= 400000
SIMULATION_SEEDS ?= 16
CRASHES ?= 300
FUZZ_CASES ?= 100000

.PHONY: check format lint build api check-api release test tsan model crashes fuzz bench \
  budgets static static-plugin numa-guest reservoir-guest template-guest service-guest packages recipes \
  kubernetes kubelet examples library test-library compare-library c-examples rust mutants \
  report report-check docs clean

check: lint check-api test tsan

format:
	$(SWIFT) format --in-place --recursive $(SOURCES)

lint:
	$(SWIFT) format lint --recursive --strict $(SOURCES)
	Scripts/check-traps

# The tests, and the program that they run.
IN_TESTABLE_TREE = build api check-api test model crashes fuzz report-check docs
$(IN_TESTABLE_TREE): export SWIFTPM_BUILD_DIR = $(TESTABLE_TREE)
$(IN_TESTABLE_TREE): export HOLDFAST_TESTABLE = 1
# TREE_IS_BUILT=1 if the tree is complete: CI runs several of these at a time, and a build would
# replace the program that another one's tests run.
build:
	$(if $(TREE_IS_BUILT),,$(SWIFT) build -c release --build-tests)

# Tests/api.txt, the list of the libraries' public declarations.
api: build
	Scripts/api --write

check-api: build
	Scripts/api

release:
	$(if $(TREE_IS_BUILT),,$(SWIFT) build -c release --product holdfast)

# SwiftPM would build the dependencies once more for `swift test -c release` alone. A run of tests
# writes nothing to the tree, so another one may use it meanwhile.
RUN_TESTS = $(SWIFT) test -c release --skip-build --ignore-lock

test: build
	$(RUN_TESTS)

# ThreadSanitizer sees the suites of which several threads are the subject, in a debug build; only
# these are built.
TSAN_TESTS = ConcurrencyTests WaitingTests MeetingTests FillingTests GuestForkTests HTTPServerTests \
  ReconcilerTests SocketFuzzTests
tsan: export HOLDFAST_TESTS = HoldfastCoreTests HoldfastTests HoldfastServiceTests
# GuestForkTests uses what the other two have.
tsan: export HOLDFAST_SUITES = $(TSAN_TESTS) DemandPagingTests HostileAccessTests
tsan:
	$(SWIFT) test --sanitize=thread --scratch-path $(TSAN_SCRATCH) \
	  $(foreach suite,$(TSAN_TESTS),--filter $(suite))

# Random operations against models and against each other, compaction and simulated hosts, longer
# than `make test` does it.
model: export HOLDFAST_MODEL_STEPS = $(MODEL_STEPS)
model: export HOLDFAST_COMPACTION_STEPS = $(COMPACTION_STEPS)
model: export HOLDFAST_DIFFERENTIAL_STEPS = $(DIFFERENTIAL_STEPS)
model: export HOLDFAST_SIMULATION_SEEDS = $(SIMULATION_SEEDS)
model: build
	$(RUN_TESTS) --filter "HoldfastModelTests|HoldfastSimulationTests"

# Random input for every parser. Each overflow traps.
fuzz: export HOLDFAST_FUZZ_CASES = $(FUZZ_CASES)
fuzz: build
	$(RUN_TESTS) --filter "FuzzTests|AbsurdNumbers"

# The commands of reservoirs and templates, the service and members, killed at random moments; and
# the times of leases.
crashes: export HOLDFAST_CRASHES = $(CRASHES)
crashes: build
	$(RUN_TESTS) \
	  --filter "ReservoirCrashTests|ReservoirStressTests|LeaseLatencyTests|TemplateCrashTests"

# The VM layer alone, on the null pmap. `holdfast bench wire` measures it on real memory.
bench:
	HOLDFAST_BENCHMARKS=1 $(SWIFT) package benchmark

# The README's table of budgets, as root on an idle host.
budgets: static
	Scripts/budgets $(STATIC)

# docs/performance.md with its pictures, and the README's table, as root on an idle host. The guest
# that boots has the kernel HOLDFAST_GUEST_KERNEL, or the newest cloud kernel in /boot.
report: static
	guest=$$(Scripts/guest/ready .build/guest) || status=$$?; case $${status:-0} in \
	0) ;; 77) echo "report: the boot of a guest is left out" >&2 ;; *) exit $$status ;; esac; \
	$(STATIC) bench all --reserve-hugepages --report .build/report $$guest
	Scripts/report/check .build/report/index.html .build/report/report.json
	Scripts/report/publish .build/report

include packaging/install.mk

# One file that runs on any x86-64 Linux, for initial file systems and containers without anything.
STATIC = .build/static/holdfast
static: release
	Scripts/link-static $(STATIC)

STATIC_PLUGIN = .build/static/holdfast-kubernetes
static-plugin:
	$(SWIFT) build --package-path Kubernetes -c release --product holdfast-kubernetes
	Scripts/link-static $(STATIC_PLUGIN)

# The program in a machine of several NUMA nodes, made by QEMU.
numa-guest: static
	Scripts/numa-guest/run $(STATIC)

# Linux in QEMU on leased memory, as root.
reservoir-guest: static
	Scripts/reservoir-guest/run $(STATIC)

# Ten clones of Linux that booted in QEMU, as root.
template-guest: static
	Scripts/template-guest/run $(STATIC)

# The units of packaging, started by a real systemd in QEMU.
service-guest: static
	Scripts/service-guest/run $(STATIC)

# The packages, on root folders of Debian without Swift, as root: ROOTS is where these are kept.
ROOTS ?= .build/roots
packages: static distribution
	Scripts/packages/fetch-roots $(ROOTS)
	Scripts/packages/prove $(ROOTS) $(STATIC)

# docs/recipes.md with the real programs, as root: RECIPES="libvirt dpdk", or all.
recipes: static
	Scripts/recipes/run $(STATIC) $(RECIPES)

# The plugin for Kubernetes, a package of its own, with a stand-in for the kubelet, as root.
kubernetes: static
	$(SWIFT) build --package-path Kubernetes --build-tests
	$(SWIFT) test --package-path Kubernetes --skip-build
	Kubernetes/Tests/stand-in/run $(STATIC) Kubernetes/.build/debug/holdfast-kubernetes

# The plugin with a real kubelet, containerd and runc, as root. KUBELET names a kubelet; by default
# one is built from Debian's source package, which takes about 5 minutes.
KUBELET_FOLDER = .build/kubelet
kubelet: static static-plugin
	Scripts/image $(KUBELET_FOLDER)/holdfast.tar $(STATIC)
	Scripts/image $(KUBELET_FOLDER)/holdfast-kubernetes.tar $(STATIC_PLUGIN)
	Kubernetes/Tests/kubelet/run $(STATIC) $(STATIC_PLUGIN) \
	  $${KUBELET:-$$(Kubernetes/Tests/kubelet/build-kubelet $(KUBELET_FOLDER))} \
	  --images $(KUBELET_FOLDER)/holdfast.tar $(KUBELET_FOLDER)/holdfast-kubernetes.tar

# The programs of Examples, and the Swift of the documents, as a user's package has them.
EXAMPLES = WireGuest PageAndFork Snapshot LeaseFromReservoir MinimalMonitor

examples:
	Scripts/snippets Examples/DocumentSnippets/Snippets.swift README.md docs/library.md
	$(SWIFT) build --package-path Examples --scratch-path Examples/.build
	for example in $(EXAMPLES); do echo "== $$example"; Examples/.build/debug/$$example || exit 1; done

# libholdfast with its header and pkg-config file: LIBRARY=.build/library
LIBRARY = .build/library
library:
	$(SWIFT) build -c release --product holdfast-c
	Scripts/link-library $(LIBRARY)

# The library from C, under valgrind and sanitizers, and by random calls.
test-library: library
	Scripts/test-library $(LIBRARY)

# What C costs against Swift.
compare-library: library
	Scripts/compare-library $(LIBRARY)

# The programs of Examples/C, and the crate of bindings/rust with its examples.
c-examples: library
	Scripts/test-library $(LIBRARY) examples

rust: library
	Scripts/test-library $(LIBRARY) crate

# Mistakes that the tests have to notice: MUTANTS="fork-spins gap-not-widened", or all.
mutants:
	Scripts/mutants $(MUTANTS)

# The checker of reports on pages with mistakes, and the sample of HoldfastPlotTests. It needs chromium.
REPORT = $(CURDIR)/.build/report
report-check: build
	Tests/Report/check_test.py
	mkdir -p $(REPORT)
	HOLDFAST_SAMPLE_FOLDER=$(REPORT) $(RUN_TESTS) --filter SampleTests
	Scripts/report/check $(REPORT)/sample.html $(REPORT)/sample.json --screenshots $(REPORT)

# The documentation of the library, in .build/docs/documentation.
docs: build
	rm -rf .build/docs && mkdir -p .build/docs/symbols
	Scripts/symbol-graphs .build/docs/symbols Holdfast
	docc convert Sources/Holdfast/Holdfast.docc --additional-symbol-graph-dir .build/docs/symbols \
	  --fallback-display-name Holdfast --fallback-bundle-identifier Holdfast --emit-lmdb-index \
	  --analyze --warnings-as-errors --output-path .build/docs/documentation

clean:
	$(SWIFT) package clean
	rm -rf $(TSAN_SCRATCH) .build/static $(DISTRIBUTION) Examples/.build \
	  Kubernetes/.build
