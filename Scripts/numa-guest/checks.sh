# The checks inside the guest. Nodes 0 and 1 have a processor and 448 MiB each, node 2 has 192 MiB
# and no processor. The program's output is compared with /proc/PID/numa_maps.

problems=0
pass() { echo "PASS $*"; }
fail() {
  echo "FAIL $*"
  [ ! -s /tmp/out ] || sed 's/^/     | /' /tmp/out
  [ ! -s /tmp/error ] || sed 's/^/     ! /' /tmp/error
  problems=$((problems + 1))
}

# A JSON text without white space, so that grep can find parts of it.
flat() { tr -d ' \n\t' <"$1"; }

# wire <what it shows> <expected nodes as JSON> <arguments...>
wire() {
  what=$1 nodes=$2
  shift 2
  if ! holdfast wire --format json "$@" >/tmp/out 2>/tmp/error; then
    fail "$what: it failed"
  elif ! flat /tmp/out | grep -qF "\"nodes\":$nodes"; then
    fail "$what: not on $nodes"
  elif ! flat /tmp/out | grep -qF '"verified":true'; then
    fail "$what: not verified"
  else
    pass "$what"
  fi
}

# says <what it shows> <part of the last receipt>
says() {
  if flat /tmp/out | grep -qF "$2"; then pass "$1"; else fail "$1: no $2"; fi
}

# refused <what it shows> <words of the error> <arguments...>
refused() {
  what=$1 words=$2
  shift 2
  status=0
  holdfast wire "$@" >/tmp/out 2>/tmp/error || status=$?
  if [ $status != 1 ]; then
    fail "$what: status $status"
  elif [ "$(wc -l </tmp/error)" != 1 ] || ! grep -qF "$words" /tmp/error; then
    fail "$what: not one line with: $words"
  else
    pass "$what"
  fi
}

# watched <what it shows> <expected nodes, as N0 N1> <arguments...>: samples the kernel's view of
# the arenas during a longer run.
watched() {
  what=$1 nodes=$2
  shift 2
  : >/tmp/maps
  holdfast bench wire --strategies prefault --runs 1 "$@" >/tmp/out 2>/tmp/error &
  pid=$!
  while kill -0 $pid 2>/dev/null; do
    grep holdfast-arena /proc/$pid/numa_maps >>/tmp/maps 2>/dev/null
    usleep 2000
  done
  if ! wait $pid; then
    fail "$what: it failed"
    return
  fi
  found=$(grep -o 'N[0-9]*=' /tmp/maps | sort -u | tr -d = | tr '\n' ' ')
  if [ "$found" = "$nodes " ]; then
    pass "$what"
  else
    fail "$what: numa_maps has pages on: $found"
    head -5 /tmp/maps
  fi
}

M=33554432
H=16777216

holdfast host >/tmp/out 2>/tmp/error
grep -A 2 '^NUMA' /tmp/out
for line in 'processors 0, distances 10 21 30' 'processors 1, distances 21 10 40' \
  'no processors, distances 30 40 10'; do
  if grep -qF "$line" /tmp/out; then pass "the host has: $line"; else fail "no: $line"; fi
done

for node in 1 0 2; do
  wire "base pages of node $node" "{\"$node\":$M}" -m 32M --backing base --host-numa-node $node
  says "bound to node $node" "\"domains\":[{\"bytes\":$M,\"node\":$node,\"policy\":\"bind\"}]"
done
for node in 1 0; do
  wire "huge pages of node $node" "{\"$node\":$M}" \
    -m 32M --backing hugetlb-2M --reserve-hugepages --host-numa-node $node
  says "reserved and returned" '"reserved":{"pageBytes":2097152,"pages":16}'
  left=$(cat /sys/devices/system/node/node*/hugepages/hugepages-2048kB/nr_hugepages | tr '\n' ' ')
  [ "$left" = "0 0 0 " ] && pass "no huge page is left" || fail "huge pages are left: $left"
done
echo advise >/sys/kernel/mm/transparent_hugepage/shmem_enabled
wire "transparent huge pages of node 1" "{\"1\":$M}" -m 32M --backing thp --host-numa-node 1
wire "page by page on node 1" "{\"1\":$M}" \
  -m 32M --backing base --host-numa-node 1 --path fault

wire "both nodes" "{\"0\":$H,\"1\":$H}" -m 32M --backing base --host-numa-node 0,1
both="{\"bytes\":$H,\"node\":0,\"policy\":\"bind\"},{\"bytes\":$H,\"node\":1,\"policy\":\"bind\"}"
says "a domain each" "\"domains\":[$both]"
wire "both nodes in turn" "{\"0\":$H,\"1\":$H}" \
  -m 32M --backing base --host-numa-node 0-1 --host-numa-policy interleave
wire "huge pages of both nodes" "{\"0\":$H,\"1\":$H}" \
  -m 32M --backing hugetlb-2M --reserve-hugepages --host-numa-node 0,1
says "a domain each" "\"domains\":[$both]"
wire "all nodes where none is named" "{\"0\":$H,\"1\":$H,\"2\":$H}" -m 48M --backing base

watched "numa_maps: base pages of node 1" "N1" -m 32M --backing base --host-numa-node 1
watched "numa_maps: base pages of node 0" "N0" -m 32M --backing base --host-numa-node 0
watched "numa_maps: huge pages of node 1" "N1" \
  -m 64M --backing hugetlb-2M --reserve-hugepages --host-numa-node 1
watched "numa_maps: both" "N0 N1" -m 32M --backing base --host-numa-node 0,1

# From the other node's processor too: the binding decides, not where threads run.
taskset 1 holdfast wire --format json -m 32M --backing base --host-numa-node 1 \
  >/tmp/out 2>/tmp/error
says "on node 1 by node 0's processor" "\"nodes\":{\"1\":$M}"

refused "a node that does not exist" \
  "cannot allocate from node 7: the node does not exist; nodes with memory: 0 (" \
  -m 32M --host-numa-node 7
refused "too little memory on a node" "on node 2, node 0 has" \
  -m 256M --backing base --host-numa-node 2
refused "too few huge pages on a node" \
  "16 hugetlb pages of 2 MiB are needed, 0 are free on node 1, node 0 has 0, node 2 has 0" \
  -m 32M --backing hugetlb-2M --host-numa-node 1
holdfast wire --format json -m 192M --backing base --host-numa-node 2 --host-numa-policy preferred \
  >/tmp/out 2>/tmp/error
says "other nodes provide the rest where a node is preferred" '"verified":true'
says "and the receipt notes that" 'onothernodesthanthosethatwerepreferred'

# Ready memory of a node: where it is, by the kernel's count of each node's huge pages.
mkdir /tmp/huge && mount -t hugetlbfs -o mode=0755 none /tmp/huge
reservoir() {
  command=$1
  shift
  holdfast reservoir "$command" --mount /tmp/huge "$@" >/tmp/out 2>/tmp/error ||
    fail "reservoir $command $*"
}
taken() {
  for node in 0 1 2; do
    folder=/sys/devices/system/node/node$node/hugepages/hugepages-2048kB
    echo $(($(cat $folder/nr_hugepages) - $(cat $folder/free_hugepages)))
  done | tr '\n' ' '
}
# are <what it shows> <pages in use by node> <ready files, as size@node>
are() {
  found=$(ls /tmp/huge/holdfast/ready | sed 's/-.*//' | sort | tr '\n' ' ')
  if [ "$(taken)" = "$2 " ] && [ "$found" = "$3 " ]; then
    pass "$1"
  else
    fail "$1: in use $(taken), ready $found"
  fi
}
reservoir init
reservoir fill --reserve-hugepages --host-numa-node 1 2x16M
reservoir fill --reserve-hugepages --host-numa-node 0 1x8M
are "ready memory of nodes" "4 16 0" "16M@1 16M@1 8M@0"
reservoir lease -m 16M --name vm --host-numa-node 1
path=$(cat /tmp/out)
if [ "$path" = /tmp/huge/holdfast/leased/0/vm@1 ]; then
  pass "a lease of node 1"
else
  fail "$path"
fi
reservoir status --leases
grep -q '^16M  *1  *1  *0  *2M  *1$' /tmp/out && pass "the status has the lease's node" ||
  fail "the status has no node"
reservoir recycle vm --reuse scrub --verify
are "scrubbed, of its node" "4 16 0" "16M@1 16M@1 8M@0"
# A lease whose name has another node than its memory, as if the memory had been moved.
reservoir lease -m 8M --name moved --host-numa-node 0
mv /tmp/huge/holdfast/leased/0/moved@0 /tmp/huge/holdfast/leased/0/moved@1
reservoir recycle moved --reuse scrub
are "scrubbed, of another node" "4 16 0" "16M@1 16M@1 8M"
holdfast run --mount /tmp/huge -m 8M --host-numa-node 1 -- test -f {memory} 2>/tmp/error ||
  fail "run on node 1"
are "cut, and replaced on its node" "4 12 0" "16M@1 8M 8M@1"
reservoir drain
[ "$(taken)" = "0 0 0 " ] && pass "the host has the memory again" || fail "in use: $(taken)"

# Where a filter forbids to bind memory, as in containers, threads on the node populate it. Each
# node has free pages, so that the kernel could take others.
filtered() {
  what=$1 calls=$2 node=$3
  shift 3
  if ! filter $calls -- holdfast reservoir fill --mount /tmp/huge --host-numa-node $node \
    "$@" >/tmp/out 2>/tmp/error; then
    fail "$what"
  fi
}
# misplaced <what it shows> <words of the error> <calls> <processors> <node>
misplaced() {
  if taskset $4 filter $3 -- holdfast reservoir fill --mount /tmp/huge --host-numa-node $5 --add \
    1x8M >/tmp/out 2>/tmp/error; then
    fail "$1: it succeeded"
  elif [ "$(wc -l </tmp/error)" != 1 ] || ! grep -qF "$2" /tmp/error; then
    fail "$1: not one line with: $2"
  else
    pass "$1"
  fi
}
if [ -x /bin/filter ]; then
  for node in 0 1 2; do
    echo 16 >/sys/devices/system/node/node$node/hugepages/hugepages-2048kB/nr_hugepages
  done
  filtered "node 1 without mbind" mbind 1 1x8M
  filtered "node 0 without mbind" mbind 0 1x8M
  are "populated by threads on the nodes" "4 4 0" "8M@0 8M@1"
  filtered "node 1 without mbind and move_pages" "mbind move_pages" 1 2x8M
  filtered "node 0 without mbind and move_pages" "mbind move_pages" 0 2x8M
  are "found in numa_maps" "8 8 0" "8M@0 8M@0 8M@1 8M@1"
  misplaced "a node without processors" "the memory came from another node" mbind 3 2
  misplaced "a node whose processors may not be used" "the memory came from another node" \
    "mbind sched_setaffinity" 1 1
  are "what lies elsewhere is not the node's" "8 8 0" "8M@0 8M@0 8M@1 8M@1"
  reservoir drain
else
  echo "SKIP filtered system calls: /bin/filter was not compiled"
fi
umount /tmp/huge
echo 0 >/proc/sys/vm/nr_hugepages

mkdir -p /tmp/cgroup && mount -t cgroup2 none /tmp/cgroup &&
  echo +cpuset >/tmp/cgroup/cgroup.subtree_control
mkdir /tmp/cgroup/one && echo 0 >/tmp/cgroup/one/cpuset.mems
(
  echo 0 >/tmp/cgroup/one/cgroup.procs
  holdfast wire -m 32M --host-numa-node 1 >/tmp/out 2>/tmp/error
)
if grep -qF "the node is outside of this process's cpuset" /tmp/error; then
  pass "a cpuset without the node"
else
  fail "a cpuset without the node"
fi

echo "seconds since boot: $(cut -d' ' -f1 /proc/uptime)"
if [ $problems = 0 ]; then echo "numa-guest: all checks passed"; fi
