# The service under systemd, through an upgrade and a removal: `booted.sh`. Scripts/packages/boot
# runs it as a unit of the machine's systemd.
set -euo pipefail
machine=booted
. /packages/library.sh
unit=holdfast-reservoir
is() { [ "$(systemctl is-active "$2")" = "$1" ]; }
pid() { systemctl show -P MainPID $unit; }
inode() { stat -c %i /run/holdfast/reservoir.sock; }
ready() { [ "$(find $reservoir/ready -type f 2>/dev/null | wc -l)" = "$1" ]; }
upgrade() { apt-get install -y --allow-downgrades "./$1"/holdfast_*.deb; }

check "the version before is installed" upgrade before
check "it starts no unit" is inactive $unit.service
check "nor the socket" is inactive $unit.socket
check "nor creates a reservoir" [ ! -e $reservoir ]
check "an unconfigured service does not start" eval "systemctl start $unit && is inactive $unit"

cp /usr/share/holdfast/reservoir.conf /etc/holdfast/
sed -i 's/^files = .*/files = 2x8M/' /etc/holdfast/reservoir.conf
check "the packaged configuration starts it" systemctl enable --now $unit
check "the levels are filled" soon ready 2
check "members have a socket" is active $unit.socket
check "a lease" holdfast reservoir lease --mount /dev/hugepages -m 8M --name plain
check "and a new file for it" soon ready 2
memory() { identity $reservoir/leased/0/plain $reservoir/ready/*; }
before=$(memory) process=$(pid) socket=$(inode)

check "a reload without /bin/kill" systemctl reload $unit
check "keeps the process" [ "$process" = "$(pid)" ]
check "the upgrade" upgrade debian
check "starts the running service anew" soon eval '[ "$(pid)" != "$process" ] && is active $unit'
check "the lease and the ready memory are the same files" [ "$before" = "$(memory)" ]
check "the socket is the same one" [ "$socket" = "$(inode)" ]
check "an upgrade does not start a stopped service" eval \
  'systemctl disable --now $unit.service $unit.socket && upgrade before && is inactive $unit'
check "which starts again" systemctl enable --now $unit
check "the removal" apt-get remove -y holdfast
check "stops the service" is inactive $unit.service
check "and the socket" is inactive $unit.socket
check "the lease stays" [ "$before" = "$(memory)" ]
check "the purge" apt-get purge -y --auto-remove holdfast
check "leaves the file of the administrator alone" eval \
  'ls /etc/holdfast | grep -qx reservoir.conf && [ -z "$(find /etc/systemd -name "*holdfast*")" ]'
