# What an administrator of a machine without Swift does with the packages: `checks.sh MACHINE`.
# Scripts/packages/machine runs it in the root folder of the machine.
set -euo pipefail
machine=$1
. /packages/library.sh
# The files of the machine, with the contents of those in /etc that packages do not share.
files() {
  find / -xdev \( -path /packages -o -path /tmp -o -path /var/cache -o -path /var/log -o \
    -path /var/lib/apt -o -path /var/lib/dpkg -o -path /root -o -path /run/systemd -o \
    -name 'g*shadow-' -o -name group- \) -prune -o -print | sort
  find /etc -xdev -type f ! -name 'group*' ! -name 'gshadow*' ! -name ld.so.cache \
    ! -name .pwd.lock -exec cksum {} + | sort
}

check "there is no Swift" [ -z "$(find / -xdev -name '*swift*' -print -quit)" ]
[ "$machine" = systemd ] || check "there is no systemd" not command -v systemctl
files >files-before

# --- The version before, with leases

check "the version before is installed" apt-get install -y ./before/holdfast_*.deb \
  ./before/libholdfast0_*.deb
check "sysusers created the group" grep -q '^holdfast:' /etc/group
check "the service is not configured" [ -z "$(ls -A /etc/holdfast)" ]
check "no unit is enabled" [ -z "$(find /etc/systemd -name '*holdfast*' 2>/dev/null)" ]
check "holdfast --version" holdfast --version
check "there is a reservoir" holdfast reservoir init --mount /dev/hugepages
check "it is filled" holdfast reservoir fill --mount /dev/hugepages 3x8M
check "a lease by name" holdfast reservoir lease --mount /dev/hugepages -m 8M --name plain
holdfast run --mount /dev/hugepages -m 8M --name held --reuse release -- \
  sh -c 'exec sleep 300' sh {memory} &
run=$!
check "a lease of a program that runs" soon [ -e $reservoir/leased/0/held.run ]
memory() { identity $reservoir/leased/0/plain $reservoir/leased/0/held.run $reservoir/ready/*; }
before=$(memory)

# --- The upgrade

check "the upgrade" apt-get install -y ./debian/holdfast_*.deb ./debian/libholdfast0_*.deb
check "is of the version that was built" [ "$(dpkg-query -W -f '${Version}' holdfast)" != 0.0.9-1 ]
check "both leases and the ready memory are the same files" [ "$before" = "$(memory)" ]
check "the program still runs" kill -0 $run
check "and the new program sees both" eval 'status | grep -q plain && status | grep -q held'

# --- What users do

check "holdfast host" holdfast host
check "holdfast wire -m 256M" holdfast wire -m 256M
grep -E 'wired|pages' $log | head -3
check "a name that NSS does not know is one line" eval \
  '! holdfast reservoir init --mount /dev/shm --group no-such-group 2>error &&
  [ "$(wc -l <error)" = 1 ]'
check "the completion of bash is loaded" bash -c \
  '. /usr/share/bash-completion/completions/holdfast && complete -p holdfast'
check "the manual has the page of a lease" test -s \
  /usr/share/man/man1/holdfast-reservoir-lease.1.gz
check "and that of the service's configuration" test -s \
  /usr/share/man/man5/holdfast-reservoir.conf.5.gz
if [ "$machine" = systemd ]; then
  verify() { systemd-analyze verify --man=no "$@" 2>&1 | grep -i holdfast; }
  check "systemd-analyze verify has no complaints about the units" not verify \
    /lib/systemd/system/holdfast-*
  check "libholdfast-dev" apt-get install -y ./debian/libholdfast-dev_*.deb
  check "a C program by pkg-config" eval \
    'cc -O2 -Wall -o check check.c $(pkg-config --cflags --libs holdfast) -lpthread'
fi
check "a C program that was built elsewhere runs with libholdfast0 alone" ./check
# Status 77: it cannot open /dev/kvm.
example() {
  local status=0
  ./monitor || status=$?
  [ $status = 0 ] || { [ $status = 77 ] && [ ! -e /dev/kvm ]; }
}
check "so does the crate's example, a monitor in Rust" example

# --- Removal

check "the removal" apt-get remove -y holdfast
check "the leases stay" [ "$before" = "$(memory)" ]
check "and the program on one of them" kill -0 $run
kill $run
wait $run || true
check "the purge" apt-get purge -y --auto-remove holdfast 'libholdfast*'
rm -f error
files >files-after
check "leaves nothing but the group" diff files-before files-after
