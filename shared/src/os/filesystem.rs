//! What kind of file system a path lies on (locks, order of writes and watch events are only certain on a local one), and
//! whether there is room left on it.

use std::path::Path;

/// Magic numbers of file systems that other machines, or a program in between, may change behind our back.
const NETWORK: [(u32, &str); 16] = [
    (0x6969, "nfs"),
    (0x517B, "smb"),
    (0xFF53_4D42, "cifs"),
    (0xFE53_4D42, "smb2"),
    (0x0102_1997, "9p"),
    (0x6573_5546, "fuse"),
    (0x5346_414F, "afs"),
    (0x6B41_4653, "kafs"),
    (0x00C3_6400, "ceph"),
    (0x7375_7245, "coda"),
    (0x7461_636F, "ocfs"),
    (0x0116_1970, "gfs"),
    (0x0BD0_0BD0, "lustre"),
    (0x4750_4653, "gpfs"),
    (0x0000_564C, "ncp"),
    (0x786F_4256, "vboxsf"),
];

/// The name of the network file system with this magic number; `None` = a local one, or one we do not know.
#[must_use]
pub fn network(magic: u32) -> Option<&'static str> {
    NETWORK.iter().find(|(known, _)| *known == magic).map(|(_, name)| *name)
}

/// The name of the network file system `path`, or the nearest existing directory above it, lies on; `None` = a local one.
#[must_use]
pub fn network_of(path: &Path) -> Option<&'static str> {
    let found = path.ancestors().find_map(|path| rustix::fs::statfs(path).ok())?;
    // The kernel's magic numbers have 32 bits; the field is wider on some machines.
    let [a, b, c, d, ..] = found.f_type.to_le_bytes();
    network(u32::from_le_bytes([a, b, c, d]))
}

/// Less room than this is none: the smallest of our files may not fit any more.
const LEAST: u64 = 64 * 1024;

/// What has run out on the file system of `path`, for us: `space` or `inodes`.
#[must_use]
pub fn exhausted(path: &Path) -> Option<&'static str> {
    let found = rustix::fs::statvfs(path).ok()?;
    // What is reserved for root is room for root.
    let (blocks, inodes) = match rustix::process::geteuid().is_root() {
        true => (found.f_bfree, found.f_ffree),
        false => (found.f_bavail, found.f_favail),
    };
    // File systems without a fixed number of inodes or blocks say 0 of 0.
    if found.f_blocks > 0 && blocks.saturating_mul(found.f_frsize) < LEAST {
        Some("space")
    } else {
        (found.f_files > 0 && inodes == 0).then_some("inodes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_file_systems_are_no_network() {
        for local in [0xEF53, 0x5846_5342, 0x9123_683E, 0x0102_1994, 0x794C_7630, 0x2FC1_2FC1, 0xF2F5_2010] {
            assert_eq!(network(local), None, "{local:#x}");
        }
        assert_eq!(network(0x6969), Some("nfs"));
        assert_eq!(network(0xFF53_4D42), Some("cifs"));
        assert_eq!(network_of(Path::new("/proc/self/no/such/thing")), None);
    }
}
