# The state after the boot, and the first start.

check "sysusers created the group with its member" grep -qx 'holdfast:x:[0-9]*:member' /etc/group
check "and the group of /dev/kvm" grep -q '^kvm:' /etc/group
check "tmpfiles created /run/holdfast" mode /run/holdfast "755 root root"
check "tmpfiles created /etc/holdfast" mode /etc/holdfast "755 root root"
check "systemd has mounted dev-hugepages.mount" is_state active dev-hugepages.mount
check "and it is hugetlbfs" grep -q "^hugetlbfs /dev/hugepages hugetlbfs rw.*pagesize=2M" /proc/mounts
# Unknown settings are only warnings when systemd loads a unit. The lines of systemd's own units
# concern manual pages and programs, which this guest lacks.
verify() { systemd-analyze verify --man=no "$@" 2>&1 | grep holdfast; }
for unit in /usr/lib/systemd/system/holdfast-*; do
  check "${unit##*/}: systemd-analyze verify has no complaints" refused verify "$unit"
  case $unit in
  *.service)
    check "and its exposure is below 3 of 10" \
      systemd-analyze security --no-pager --offline=yes --threshold=29 "$unit"
    tail -1 /tmp/out
    ;;
  esac
done
check "the packaged configuration has no errors" holdfast reservoir serve --check

# The reservoir need not be created by hand, not after a boot either, when hugetlbfs is empty.
check "there is no reservoir yet" [ ! -e $reservoir ]
# folders_are <permissions and owner of the reservoir, filling, leased, ready>
folders_are() {
  mode $reservoir "$1" && mode $reservoir/filling "$2" && mode $reservoir/leased "$3" &&
    mode $reservoir/ready "$4"
}
configure -- 2x16M
check "enable --now starts the service" systemctl enable -q --now $service
check "which returns when it is ready: it responds" wget -q -O /dev/null http://127.0.0.1:9816/healthz
check "because of READY=1: Type=notify" [ "$(property Type)" = notify ]
check "it is active" is_state active
check "init created the folders, which only root writes to" folders_are \
  "710 root holdfast" "700 root holdfast" "710 root holdfast" "700 root holdfast"
socket=/run/holdfast/reservoir.sock
check "enable --now starts the socket too" is_state active $service.socket
check "which is for members" mode $socket "660 root holdfast"
check "the service has it" [ "$(property TriggeredBy)" = $service.socket ]
check "the next boot starts the socket" \
  [ -e /etc/systemd/system/sockets.target.wants/$service.socket ]
check "the levels are filled" soon 20 ready 2 16
check "with 16 of 96 huge pages" [ "$(free_pages)" = 80 ]
check "StatusText shows it" soon 5 says "ready: 2 of 2x16M"
check "the next boot starts it" \
  [ -e /etc/systemd/system/multi-user.target.wants/$service.service ]
inode=$(stat -c %i $reservoir/ready/*)
systemctl restart holdfast-reservoir-init
check "a second init keeps the files" [ "$inode" = "$(stat -c %i $reservoir/ready/*)" ]
