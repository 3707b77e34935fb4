# What is there after the boot, and the first start.

check "sysusers made the group, with the member that it was told" grep -qx 'holdfast:x:[0-9]*:member' /etc/group
check "tmpfiles made /run/holdfast" mode /run/holdfast "755 root root"
check "tmpfiles made /etc/holdfast" mode /etc/holdfast "755 root root"
check "systemd has mounted dev-hugepages.mount" is_state active dev-hugepages.mount
check "and it is hugetlbfs" grep -q "^hugetlbfs /dev/hugepages hugetlbfs rw.*pagesize=2M" /proc/mounts
check "the packaged configuration has no errors" holdfast reservoir serve --check

# A newcomer makes no reservoir by hand, and neither does anybody after a boot: hugetlbfs is empty then.
check "nobody has made a reservoir" [ ! -e $reservoir ]
# folders_are <permissions and owner of the reservoir, filling, leased, ready>
folders_are() {
  mode $reservoir "$1" && mode $reservoir/filling "$2" && mode $reservoir/leased "$3" &&
    mode $reservoir/ready "$4"
}
configure -- 2x16M
check "enable --now starts the service" systemctl enable -q --now $service
check "which returns when it is ready: it answers" wget -q -O /dev/null http://127.0.0.1:9816/healthz
check "and it was READY=1 that made it so: Type=notify" [ "$(property Type)" = notify ]
check "it is active" is_state active
check "the folders are init's, the group's members may lease" folders_are \
  "750 root holdfast" "700 root holdfast" "1770 root holdfast" "770 root holdfast"
check "the levels are filled" soon 20 ready 2 16
check "the kernel has given that much: 16 of 96 huge pages" [ "$(free_pages)" = 80 ]
check "StatusText tells it" soon 5 says "ready: 2 of 2x16M"
check "what is enabled comes with the next boot" \
  [ -e /etc/systemd/system/multi-user.target.wants/$service.service ]
inode=$(stat -c %i $reservoir/ready/*)
systemctl restart holdfast-reservoir-init
check "made again, the reservoir keeps what is in it" [ "$inode" = "$(stat -c %i $reservoir/ready/*)" ]
