"""The cases of Scripts/recipes/libvirt-hook: `hook_cases.py HOOK`, in namespaces of its own, as it
writes to /run and /etc."""
import json
import os
import pwd
import shutil
import subprocess
import sys
import unittest

HOOK = sys.argv.pop(1)
RAM = "/run/ram"
STATE = "/run/holdfast/libvirt"
UUID = "5a7a0d4e-1c1b-4f6e-9d55-1a2b3c4d5e6f"
OTHER = "00000000-1111-2222-3333-444444444444"
QEMU = pwd.getpwnam("libvirt-qemu")
REQUEST = "<metadata><lease xmlns='urn:holdfast:lease'/></metadata>"
BACKING = "<memoryBacking><source type='file'/><access mode='shared'/></memoryBacking>"


def escaped(text):
    return text.replace("&", "&amp;").replace("<", "&lt;")


def domain(name="web", uuid=UUID, memory="<memory unit='KiB'>65536</memory>", metadata=REQUEST,
           backing=BACKING, rest="", head="", id="7"):
    """As libvirt writes a domain for its hooks."""
    return (f"{head}<domain type='kvm' id='{id}'>\n  <name>{escaped(name)}</name>\n"
            f"  <uuid>{uuid}</uuid>\n  {metadata}\n  {memory}\n  {backing}\n  {rest}\n</domain>\n")


class HookCase(unittest.TestCase):
    def setUp(self):
        for folder in (RAM, STATE):
            shutil.rmtree(folder, ignore_errors=True)
        for file in ("/run/full", "/run/touched", "/etc/holdfast/libvirt.env"):
            if os.path.lexists(file):
                os.unlink(file)
        os.mkdir(RAM)
        self.folder("7-web")
        self.settings(f"ram={RAM}")
        open("/run/calls", "w").close()
        os.chmod("/run/calls", 0o666)

    def settings(self, *lines):
        with open("/etc/holdfast/libvirt.env", "w") as file:
            file.write("".join(line + "\n" for line in lines))

    def folder(self, name, user=QEMU.pw_uid):
        os.mkdir(f"{RAM}/{name}")
        os.chown(f"{RAM}/{name}", user, QEMU.pw_gid if user else 0)

    def hook(self, xml, name="web", operation=("start", "begin", "-")):
        """Status, error lines, and the calls of holdfast since the last time."""
        open("/run/calls", "w").close()
        data = xml if isinstance(xml, bytes) else xml.encode()
        result = subprocess.run([HOOK, name, *operation], input=data, capture_output=True,
                                timeout=20)
        with open("/run/calls") as file:
            calls = [json.loads(line) for line in file]
        return result.returncode, result.stderr.decode(), calls

    def release(self, xml, name="web"):
        return self.hook(xml, name, ("release", "end", "-"))

    def refused(self, xml, reason, name="web"):
        before = os.path.isdir(STATE) and os.listdir(STATE)
        status, error, calls = self.hook(xml, name)
        self.assertEqual((status, calls), (1, []), error)
        self.assertIn(reason, error)
        self.assertEqual(error.count("\n"), 1, error)
        self.assertNotIn("Traceback", error)
        self.assertEqual(os.path.isdir(STATE) and os.listdir(STATE), before)

    def leased(self, xml, name="web", lease="web", size="65536K", node=None):
        self.leased_all(xml, [("pc.ram", lease, size, node)], name)

    def leased_all(self, xml, wanted, name="web"):
        """Wanted are files, leases, sizes and nodes."""
        status, error, calls = self.hook(xml, name)
        self.assertEqual((status, len(calls)), (0, len(wanted)), error)
        self.assertEqual(sorted(os.listdir(f"{RAM}/7-web")), sorted(item[0] for item in wanted))
        for (user, groups, arguments), (file, lease, size, node) in zip(calls, wanted):
            self.assertEqual(user, QEMU.pw_uid)
            self.assertNotIn(0, groups)
            self.assertEqual(arguments, [
                "reservoir", "lease", "--mount", "/dev/hugepages", "--size", size, "--name", lease,
                "--wait", "10"] + (["--host-numa-node", node] if node else []))
            link = f"{RAM}/7-web/{file}"
            self.assertEqual(os.readlink(link),
                             f"/dev/hugepages/holdfast/leased/{QEMU.pw_uid}/{lease}")
            self.assertEqual(os.lstat(link).st_uid, QEMU.pw_uid)
            os.unlink(link)

    def ignored(self, xml, name="web"):
        self.assertEqual(self.hook(xml, name), (0, "", []))


class Requests(HookCase):
    def test_request_leases_and_release_recycles(self):
        self.leased(domain())
        status, error, calls = self.release(domain())
        self.assertEqual((status, calls), (0, [[0, calls[0][1], [
            "reservoir", "recycle", "web", "--or-release", "--user", str(QEMU.pw_uid), "--mount",
            "/dev/hugepages"]]]), error)
        self.assertEqual(self.release(domain()), (0, "", []))

    def test_other_operations_and_domains_are_ignored(self):
        self.assertEqual(self.hook(domain(), operation=("started", "begin", "-")), (0, "", []))
        self.assertEqual(self.hook(domain(), operation=("stopped", "end", "-")), (0, "", []))
        self.ignored(domain(metadata=""))
        self.ignored("not XML at all")
        self.ignored(b"\xff\xfe" * 1000)

    def test_words_in_other_places_are_no_request(self):
        for metadata in (
                "<description>&lt;lease xmlns='urn:holdfast:lease'/></description>",
                "<description><![CDATA[<lease xmlns='urn:holdfast:lease'/>]]></description>",
                "<!-- <lease xmlns='urn:holdfast:lease'/> -->",
                "<metadata><a:x xmlns:a='urn:holdfast:lease'/></metadata>",
                "<metadata><a:lease xmlns:a='urn:b'>urn:holdfast:lease</a:lease></metadata>",
                "<metadata><x xmlns='urn:b'><lease xmlns='urn:holdfast:lease'/></x></metadata>",
                "<title>urn:holdfast:lease</title>"):
            with self.subTest(metadata):
                self.ignored(domain(metadata=metadata))

    def test_a_lease_that_fails_leaves_nothing(self):
        open("/run/full", "w").close()
        status, error, calls = self.hook(domain())
        self.assertEqual((status, len(calls)), (1, 1))
        self.assertEqual(error, "holdfast: error: cannot lease\n")
        self.assertFalse(os.path.exists(STATE))
        self.assertEqual(os.listdir(f"{RAM}/7-web"), [])


class Documents(HookCase):
    def test_document_types_are_refused(self):
        laughs = "<!DOCTYPE domain [<!ENTITY a0 'ha'>" + "".join(
            f"<!ENTITY a{n} '{f'&a{n - 1};' * 10}'>" for n in range(1, 12)) + "]>"
        self.refused(domain(head=laughs, rest="<title>&a11;</title>"), "document type")
        for head in ("<!DOCTYPE domain>", "<!DOCTYPE domain SYSTEM 'file:///etc/shadow'>",
                     "<!DOCTYPE domain [<!ENTITY m SYSTEM 'file:///etc/shadow'>]>",
                     "<!DOCTYPE domain [<!ENTITY % m SYSTEM 'http://192.0.2.1/'> %m;]>"):
            with self.subTest(head):
                self.refused(domain(head=head), "document type")

    def test_what_is_no_domain_is_refused(self):
        self.refused(domain()[:-4], "cannot be parsed")
        self.refused(domain() + "<domain/>", "cannot be parsed")
        self.refused(domain(rest="<title>&undefined;</title>"), "cannot be parsed")
        self.refused(domain(rest="<title>\0</title>"), "cannot be parsed")
        self.refused(domain(head="<?xml version='1.0' encoding='none'?>"), "cannot be parsed")
        self.refused("<domains>" + domain() + "</domains>", "root element")
        self.refused(domain().replace("<domain ", "<domain xmlns='urn:x' "), "root element")
        self.refused(domain(rest=f"<title>{'x' * (17 << 20)}</title>"), "more than 16 MiB")

    def test_depth_is_no_problem(self):
        self.leased(domain(rest="<a>" * 100000 + "</a>" * 100000))


class Sizes(HookCase):
    def memory(self, text, unit=" unit='KiB'"):
        return domain(memory=f"<memory{unit}>{text}</memory>")

    def test_units(self):
        for text, unit, size in (
                ("65536", "", "65536K"), ("64", " unit='MiB'", "65536K"),
                ("64", " unit='M'", "65536K"), ("2", " unit='GiB'", "2097152K"),
                ("67108864", " unit='b'", "65536K"), ("67108865", " unit='bytes'", "65537K"),
                ("1000", " unit='KB'", "977K"), ("256", " unit='TiB'", "274877906944K"),
                (" 65536\n", " unit='kib'", "65536K"), ("0" * 13 + "65536", "", "65536K")):
            with self.subTest(text=text, unit=unit):
                self.leased(self.memory(text, unit), size=size)

    def test_what_is_no_size_is_refused(self):
        for text in ("", "-1", "+1", "1.5", "0x10", "1e9", "1 2", "65536K", "9" * 19, "9" * 100000,
                     "\u0661\u0662", "65536 --exact", "$(touch /run/touched)", "65536<x/>"):
            with self.subTest(text[:20]):
                self.refused(self.memory(text), "<memory>")
        for text, unit in (("0", "KiB"), ("257", "TiB"), ("9" * 18, "TiB")):
            with self.subTest(text):
                self.refused(self.memory(text, f" unit='{unit}'"), "0, or more than 256 TiB")
        for unit in ("", "PiB", "KiB;id", "-"):
            with self.subTest(unit):
                self.refused(self.memory("1", f" unit='{unit}'"), "unknown unit")

    def test_only_the_domains_own_memory_counts(self):
        larger = "<memory unit='KiB'>1048576</memory>"
        self.leased(domain(
            metadata=f"<description>\n  {escaped(larger)}\n</description><metadata>"
                     f"<lease xmlns='urn:holdfast:lease'>\n  {larger}\n</lease></metadata>",
            rest=f"<devices>{larger}</devices><!--\n  {larger}\n-->"))
        self.refused(domain(rest=larger), "or several")
        self.refused(domain(memory=""), "no <memory>")
        self.refused(domain(memory=larger.replace("<memory ", "<memory xmlns='urn:x' ")),
                     "no <memory>")


class Backings(HookCase):
    def test_other_backings_are_refused(self):
        file, shared = "<source type='file'/>", "<access mode='shared'/>"
        for inside, reason in (
                (shared, "source type='file'"), (file, "mode='shared'"),
                ("<source type='memfd'/>" + shared, "source type='file'"),
                (file + "<access mode='private'/>", "mode='shared'"),
                (file + shared + "<hugepages/>", "<hugepages/>"),
                (file + shared + "<discard/>", "<discard/>")):
            with self.subTest(inside):
                self.refused(domain(backing=f"<memoryBacking>{inside}</memoryBacking>"), reason)
        self.refused(domain(backing=""), "source type='file'")
        self.refused(domain(backing="", metadata=REQUEST.replace("</m", BACKING + "</m")),
                     "source type='file'")
        self.refused(domain(rest="<devices><memory model='dimm'/></devices>"), "<memory> devices")

    def test_the_same_words_elsewhere_are_not(self):
        self.leased(domain(rest="<title>&lt;numa> &lt;hugepages/></title><devices><numa/></devices>"))

    def test_memory_that_devices_of_the_host_reach_is_released(self):
        for device in ("<hostdev mode='subsystem' type='pci'/>", "<interface type='hostdev'/>",
                       "<disk type='nvme'/>", "<interface\n type = \"vdpa\"/>",
                       "<disk type='file'><backingStore type='nvme'/></disk>"):
            with self.subTest(device):
                xml = domain(rest=f"<devices>{device}</devices>")
                self.leased(xml)
                self.assertEqual(self.release(xml)[2][0][2][:3], ["reservoir", "release", "web"])
        xml = domain(rest="<title>&lt;hostdev </title>")
        self.leased(xml)
        self.assertEqual(self.release(xml)[2][0][2][:3], ["reservoir", "recycle", "web"])


def cell(number, memory="32768", more=""):
    return f"<cell id='{number}' cpus='{number}' memory='{memory}' unit='KiB'{more}/>"


def numa(*cells, more=""):
    return domain(rest=f"<cpu mode='host-passthrough'><numa>{''.join(cells)}</numa></cpu>{more}")


class Cells(HookCase):
    def nodes(self, text):
        """Makes the host one with these nodes."""
        with open("/run/nodes", "w") as file:
            file.write(text + "\n")
        place = "/sys/devices/system/node/online"
        subprocess.run(["mount", "--bind", "/run/nodes", place], check=True)
        self.addCleanup(subprocess.run, ["umount", place], check=True)

    def test_each_cell_gets_a_file(self):
        xml = numa(cell(1, "65536"), cell(0), cell(2, "98304", " memAccess='shared'"))
        self.leased_all(xml, [("ram-node0", "web-node0", "32768K", None),
                              ("ram-node1", "web-node1", "65536K", None),
                              ("ram-node2", "web-node2", "98304K", None)])
        calls = self.release(xml)[2]
        self.assertEqual([call[2][1:4] for call in calls],
                         [["recycle", f"web-node{number}", "--or-release"] for number in range(3)])
        self.assertEqual(self.release(xml), (0, "", []))

    def test_all_or_none(self):
        with open("/run/full-after", "w") as file:
            file.write("2")
        self.addCleanup(os.unlink, "/run/full-after")
        status, error, calls = self.hook(numa(cell(0), cell(1), cell(2)))
        self.assertEqual(status, 1, error)
        self.assertEqual(error, "holdfast: error: cannot lease\n")
        self.assertEqual([call[2][1:3] for call in calls[3:]],
                         [["release", "web-node0"], ["release", "web-node1"]])
        self.assertEqual({call[0] for call in calls}, {QEMU.pw_uid})
        self.assertEqual(os.listdir(STATE), [])
        self.assertEqual(os.listdir(f"{RAM}/7-web"), [])

    def test_cells_that_libvirt_does_not_write_are_refused(self):
        for cells, reason in (
                ([], "no <cell>"), ([cell(1)], "the numbers"), ([cell(0), cell(0)], "the numbers"),
                ([cell("")], "the numbers"), ([cell("00")], "the numbers"),
                ([cell("../x")], "the numbers"), ([cell(0, "")], "not a number"),
                ([cell(0, "1e9")], "not a number"), ([cell(0, "0")], "is 0"),
                ([cell(0, more=" memAccess='private'")], "memAccess"),
                ([cell(number) for number in range(129)], "more than 128")):
            with self.subTest(reason):
                self.refused(numa(*cells), reason)
        self.refused(numa(cell(0), more="<cpu/>"), "several")

    def test_nodes_of_the_host(self):
        tune = ("<numatune><memory mode='strict' nodeset='2'/>"
                "<memnode cellid='1' mode='strict' nodeset='3'/>"
                "<memnode cellid='2' mode='preferred' nodeset='0-1'/></numatune>")
        xml = numa(cell(0), cell(1), cell(2), more=tune)
        self.leased_all(xml, [(f"ram-node{number}", f"web-node{number}", "32768K", None)
                              for number in range(3)])
        self.nodes("0-3")
        self.leased_all(xml, [("ram-node0", "web-node0", "32768K", "2"),
                              ("ram-node1", "web-node1", "32768K", "3"),
                              ("ram-node2", "web-node2", "32768K", None)])
        self.leased(domain(rest=tune), node="2")
        self.leased(domain(rest="<numatune><memory nodeset='1;id'/></numatune>"))

    def test_long_names_get_the_uuid(self):
        name = "x" * 121
        xml = numa(cell(0)).replace("<name>web<", f"<name>{name}<")
        self.leased_all(xml, [("ram-node0", UUID + "-node0", "32768K", None)], name)
        self.assertEqual(self.release(xml, name)[2][0][2][2], UUID + "-node0")

    def test_the_record_of_an_earlier_version(self):
        os.makedirs(STATE, 0o700, exist_ok=True)
        with open(f"{STATE}/web", "w") as file:
            file.write(f"{UUID}\n{QEMU.pw_uid}\n/dev/hugepages\n")
        self.assertEqual(self.release(domain())[2][0][2][1:3], ["recycle", "web"])


class Names(HookCase):
    def test_odd_names_get_the_uuid(self):
        for name in ("-web", "--help", "a b", "a/b", "../../etc", "a\nb", "$(touch /run/touched)",
                     "`touch /run/touched`", "'; touch /run/touched; '", "\u00e9", "*", "x" * 129,
                     "web@1", "web.run", OTHER, UUID):
            with self.subTest(name):
                self.leased(domain(name=name), name=name, lease=UUID)
                status, _, calls = self.release(domain(name=name), name=name)
                self.assertEqual((status, calls[0][2][2]), (0, UUID))
        self.leased(domain(name="x" * 128), name="x" * 128, lease="x" * 128)
        self.assertFalse(os.path.exists("/run/touched"))

    def test_what_is_no_uuid_is_refused(self):
        for uuid in ("", "x", UUID.upper(), UUID + "\n", "../" + UUID, UUID[:-1]):
            with self.subTest(uuid):
                self.refused(domain(name="a b", uuid=uuid), "UUID", name="a b")

    def test_xml_of_another_domain_is_refused(self):
        self.refused(domain(name="other"), "another domain")
        self.refused(domain(rest="<name>web</name>"), "or several")

    def test_a_domain_cannot_end_the_lease_of_another(self):
        self.leased(domain(name="a b"), name="a b", lease=UUID)
        # This one's name is the other's UUID, and its start has failed.
        self.assertEqual(self.release(domain(name=UUID, uuid=OTHER), name=UUID)[2], [])
        self.assertEqual(self.release(domain(name="a b", uuid=OTHER), name="a b")[2], [])
        self.assertEqual(self.release(domain(name="a b"), name="a b")[2][0][2][2], UUID)


class Folders(HookCase):
    def test_a_link_is_not_followed(self):
        os.rmdir(f"{RAM}/7-web")
        os.makedirs("/run/roots", exist_ok=True)
        os.symlink("/run/roots", f"{RAM}/7-web")
        status, error, calls = self.hook(domain())
        self.assertEqual((status, calls), (1, []), error)
        self.assertEqual(os.listdir("/run/roots"), [])

    def test_an_existing_file_stays(self):
        os.symlink("/etc/passwd", f"{RAM}/7-web/pc.ram")
        status, error, _ = self.hook(domain())
        self.assertEqual(status, 1)
        self.assertIn("cannot create pc.ram", error)
        self.assertEqual(os.readlink(f"{RAM}/7-web/pc.ram"), "/etc/passwd")
        # libvirt calls the release after a failed start.
        self.assertEqual(self.release(domain())[2][0][2][1], "recycle")

    def test_the_id_names_one_folder(self):
        for id in ("", "-1", "../7", "7-web", "7x", "9" * 30):
            with self.subTest(id):
                self.refused(domain(id=id), "no id")
        self.refused(domain(id="8"), "not one folder")
        self.refused(domain().replace(" id='7'", ""), "no id")
        self.folder("7-other")
        self.refused(domain(), "not one folder")

    def test_unknown_settings_are_refused(self):
        self.settings(f"ram={RAM}", "touch /run/touched")
        self.refused(domain(), "unknown line")
        self.settings("# comment", "", f"ram='{RAM}'", "wait=10", "mount=/dev/hugepages")
        self.leased(domain())


if __name__ == "__main__":
    unittest.main()
