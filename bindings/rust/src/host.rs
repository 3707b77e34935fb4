use crate::error::{check, text};
use crate::handle::sized;
use crate::{sys, Result};

/// What the host offers, in bytes where not said otherwise. What is unknown is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Host {
    /// Whether /dev/kvm can be opened.
    pub has_kvm: bool,
    /// Whether page faults can be served, also those of the kernel and of KVM.
    pub has_demand_paging: bool,
    /// Whether shared memory gets transparent huge pages where it asks for them.
    pub has_shared_thp: bool,
    /// Whether private memory does.
    pub has_private_thp: bool,
    /// Memory outside of the pools of huge pages that guests can have now.
    pub available: u64,
    /// All memory of the host.
    pub total: u64,
    /// What is free in the pool of 2 MiB pages, and this process may use.
    pub free_2m: u64,
    /// The same for pages of 1 GiB.
    pub free_1g: u64,
    /// The number of processors that this process may run on.
    pub processors: u64,
    /// The number of nodes that have memory.
    pub nodes: u64,
}

impl Host {
    /// Probes the host.
    pub fn probe() -> Result<Host> {
        let mut host = sized!(holdfast_host {
            features,
            available,
            total,
            free_2m,
            free_1g,
            processors,
            nodes
        });
        // SAFETY: the pointer is valid for the call, and the size is the structure's.
        check(unsafe { sys::holdfast_host_probe(&mut host) })?;
        let has = |feature| host.features & feature != 0;
        Ok(Host {
            has_kvm: has(sys::HOLDFAST_HOST_KVM),
            has_demand_paging: has(sys::HOLDFAST_HOST_DEMAND_PAGING),
            has_shared_thp: has(sys::HOLDFAST_HOST_SHARED_THP),
            has_private_thp: has(sys::HOLDFAST_HOST_PRIVATE_THP),
            available: host.available,
            total: host.total,
            free_2m: host.free_2m,
            free_1g: host.free_1g,
            processors: host.processors,
            nodes: host.nodes,
        })
    }

    /// Probes the host, and returns the member `host` of `holdfast host --format json`.
    pub fn json() -> Result<String> {
        // SAFETY: the pointer is valid for the call.
        text(|json| unsafe { sys::holdfast_host_json(json) })
    }
}
