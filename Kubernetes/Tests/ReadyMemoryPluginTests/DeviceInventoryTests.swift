import DevicePluginWire
import ReadyMemoryPlugin
import Testing

struct DeviceInventoryTests {
  private func ids(_ devices: [Device]) -> [String] {
    devices.map { ($0.isHealthy ? "" : "!") + $0.id }
  }

  @Test(
    arguments: [
      (2 << 20, 2 << 30, "ready-2m-2gi"), (1 << 30, 1 << 40, "ready-1g-1ti"),
      (4096, 6 << 20, "ready-4k-6mi"), (2 << 20, 3 << 29, "ready-2m-1536mi"),
    ] as [(UInt64, UInt64, String)])
  func `a resource's name has the page size and the size`(
    page: UInt64, size: UInt64, name: String
  ) {
    let resource = Resource(pageSize: page, size: size)
    #expect(resource.name == name)
    #expect(Resource(name: name) == resource)
  }

  @Test(arguments: [
    "", "ready", "ready-2m", "ready-2m-2g", "ready-2m-2gi-", "ready-2m-2048mi", "ready-2048k-2gi",
    "ready-2m-3ki", "ready-2m-0gi", "ready-0b-0bi", "ready-2m-+2gi", "ready-2m-02gi",
    "ready-2m-16777216ti", "ready-2m-i", "Ready-2m-2gi", "ready-2m-2ei", "ready-2m-2bi",
  ])
  func `another text is no resource's name`(text: String) {
    #expect(Resource(name: text) == nil)
  }

  @Test(arguments: ["n0-0", "n1023-4294967295", "any-7"])
  func `a device's text is read again`(text: String) {
    #expect(DeviceID(text)?.text == text)
  }

  @Test(arguments: [
    "", "n0", "n-0", "n0-", "n0-00", "n00-1", "n1024-0", "any", "any--1", "any-+1", "x-1", "n0-1-2",
    "n0-4294967296", "N0-1", "n+0-1", "any-1 ", "any-١",
  ])
  func `another text is no device`(text: String) {
    #expect(DeviceID(text) == nil)
  }

  @Test func `a lease's name is read again, and no other program's`() {
    let tag = LeaseTag(
      resource: "ready-2m-2gi", device: DeviceID(node: 0, number: 3), generation: 17)
    #expect(tag.text == "kube_ready-2m-2gi_n0-3_17")
    #expect(LeaseTag(tag.text) == tag)
    for text in [
      "vm1", "kube", "kube_a_n0-3_017", "kube__n0-3_1", "kube_a_n0-3", "kube_a_n0-3_1_2",
      "kube_a_x_1", "Kube_a_n0-3_1", "kube_a_n0-3_", "kube_a_n0-3_18446744073709551616",
    ] {
      #expect(LeaseTag(text) == nil, "\(text)")
    }
  }

  @Test func `there are as many devices as files, and a lease keeps its own`() {
    let n0: UInt32? = 0
    #expect(
      ids(DeviceInventory.devices(ready: [n0: 3], leased: [:], canLease: true))
        == ["n0-0", "n0-1", "n0-2"])
    // n0-1 is leased: the same devices.
    let one = DeviceID(node: 0, number: 1)
    #expect(
      ids(DeviceInventory.devices(ready: [n0: 2], leased: [one: false], canLease: true))
        == ["n0-0", "n0-1", "n0-2"])
    // Its pod has ended, and the service does not lease.
    #expect(
      ids(DeviceInventory.devices(ready: [n0: 1], leased: [one: true], canLease: false))
        == ["!n0-0", "!n0-1"])
    let far = DeviceID(node: 1, number: 9)
    #expect(
      ids(DeviceInventory.devices(ready: [n0: 1, nil: 1], leased: [far: false], canLease: true))
        == ["any-0", "n0-0", "n1-9"])
  }

  @Test func `a node of 4 TiB has 2,048 devices of 2 GiB`() {
    #expect(DeviceInventory.devices(ready: [0: 2048], leased: [:], canLease: true).count == 2048)
    #expect(
      DeviceInventory.devices(ready: [0: .max], leased: [:], canLease: true).count
        == DeviceInventory.mostDevices)
  }

  @Test func `devices have their node, and there are no more than the limit with all leases`() {
    let list = DeviceInventory.devices(
      ready: [1: 300, nil: 5], leased: [DeviceID(node: 1, number: 0): false], others: 100,
      most: DeviceInventory.mostDevicesBeforePages, canLease: true)
    #expect(list.count == 156)
    #expect(list.filter { $0.nodes == [1] }.count == 151)
    #expect(list.filter { $0.nodes.isEmpty }.count == 5)
    #expect(Set(list.map(\.id)).count == 156)
  }

  @Test(
    arguments: [
      (["n0-0", "n1-0", "n1-1"], [], 2, ["n1-0", "n1-1"]),
      (["n0-0", "n1-0", "n1-1"], ["n0-5"], 2, ["n0-5", "n0-0"]),
      (["n0-0", "n0-1", "n1-0", "n1-1", "n1-2"], [], 4, ["n1-0", "n1-1", "n1-2", "n0-0"]),
      (["any-1", "any-0"], [], 1, ["any-0"]), (["any-1"], [], 5, ["any-1"]),
      (["n0-1"], [], -4, []), (["bad", "n0-1"], ["worse"], 2, ["worse", "n0-1"]),
      (["n0-1", "n0-1"], ["n0-1"], 2, ["n0-1"]), ([], [], Int32.max, []),
    ] as [([String], [String], Int32, [String])])
  func `devices of few nodes are preferred`(
    available: [String], mustInclude: [String], count: Int32, chosen: [String]
  ) {
    #expect(
      DeviceInventory.preferred(
        .init(available: available, mustInclude: mustInclude, count: count)) == chosen)
  }
}
