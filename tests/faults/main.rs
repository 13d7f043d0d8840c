//! Faults that need minutes, root or servers of their own: killed programs, failing system calls, full disks, servers
//! that go away, calls that are dropped, many at once, and hostile input. `scripts/test --faults` runs it;
//! docs/reliability.md lists what each test holds.
#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot go on should stop and say so")]

mod disks;
mod dropped;
mod generations;
mod hostile;
mod injected;
mod kills;
mod memory;
#[path = "../it/support/raw.rs"]
#[allow(dead_code, reason = "what the other tests need")]
mod raw;
mod readers;
mod replicas;
#[path = "../it/support/rows.rs"]
mod rows;
mod servers;
mod soak;
mod support;
