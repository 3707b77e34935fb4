# The front door for developers. `make check` is what to run before a commit.

SWIFT ?= swift
TSAN_SCRATCH ?= .build/tsan

MODEL_STEPS ?= 1000000
COMPACTION_STEPS ?= 1000000

.PHONY: check format lint build release test tsan model bench static numa-guest reservoir-guest \
  service-guest recipes examples docs clean

check: lint build test tsan

format:
	$(SWIFT) format --in-place --recursive Sources Tests Benchmarks/Core Benchmarks/Faults Benchmarks/Package.swift Examples Package.swift

lint:
	$(SWIFT) format lint --recursive --strict Sources Tests Benchmarks/Core Benchmarks/Faults Benchmarks/Package.swift Examples Package.swift

build:
	$(SWIFT) build --build-tests

release:
	$(SWIFT) build -c release --product holdfast

test:
	$(SWIFT) test

# The tests with threads of their own, under ThreadSanitizer.
tsan:
	$(SWIFT) test --sanitize=thread --scratch-path $(TSAN_SCRATCH) --filter "ConcurrencyTests|WaitingTests|MeetingTests|FillingTests|GuestForkTests"

# The VM layer against its model, and compaction, longer than the tests do it.
model:
	HOLDFAST_MODEL_STEPS=$(MODEL_STEPS) HOLDFAST_COMPACTION_STEPS=$(COMPACTION_STEPS) $(SWIFT) test -c release -Xswiftc -enable-testing \
	  --scratch-path .build/model --filter "ModelTests|CompactionTests"

# The VM layer alone, on the null pmap. `holdfast bench wire` measures it on real memory.
bench:
	$(SWIFT) package --package-path Benchmarks benchmark

# One file that runs on any x86-64 Linux, for initial file systems and containers without anything.
static:
	$(SWIFT) build -c release --product holdfast --static-swift-stdlib -Xswiftc -static-executable \
	  --scratch-path .build/static

# The program in a machine of several NUMA nodes, made by QEMU.
numa-guest: static
	Scripts/numa-guest/run .build/static/release/holdfast

# Linux in QEMU on leased memory, as root.
reservoir-guest: release
	Scripts/reservoir-guest/run .build/release/holdfast

# The units of packaging, started by a real systemd in QEMU.
service-guest: static
	Scripts/service-guest/run .build/static/release/holdfast

# docs/recipes.md with the real programs, as root: RECIPES="libvirt dpdk", or all.
recipes: static
	Scripts/recipes/run .build/static/release/holdfast $(RECIPES)

# The programs of Examples, and the Swift of the documents, as a user's package has them.
EXAMPLES = WireGuest PageAndFork Snapshot LeaseFromReservoir MinimalMonitor

examples:
	Scripts/snippets Examples/DocumentSnippets/Snippets.swift README.md docs/library.md
	$(SWIFT) build --package-path Examples --scratch-path Examples/.build
	for example in $(EXAMPLES); do echo "== $$example"; Examples/.build/debug/$$example || exit 1; done

# The documentation of the library, in .build/docs/documentation.
docs:
	HOLDFAST_DOCS=1 $(SWIFT) package --scratch-path .build/docs --allow-writing-to-directory .build/docs \
	  generate-documentation --target Holdfast --analyze --warnings-as-errors \
	  --output-path .build/docs/documentation

clean:
	$(SWIFT) package clean
	rm -rf $(TSAN_SCRATCH) Benchmarks/.build Examples/.build
