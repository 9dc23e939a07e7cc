//! What pruning would delete, read from the block files: a daemon that does not run cannot be asked.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::PruneFacts;
use crate::config::CoinSettings;

/// From the start of a block file to the time in its first block's header, in bytes: chain magic and length (8), then version, previous hash and
/// Merkle root (68).
const TIME_AT: u64 = 76;
/// A daemon that prunes already stays within this of what it was told: one file of blocks (128 MiB) with its undo data.
const OVERSHOOT_MIB: u64 = 147;

/// What the next start with `daemon.prune_mib` would keep; none where it would delete nothing.
pub(super) fn about_to_prune(coin: &CoinSettings) -> Option<PruneFacts> {
    prune(&coin.chain_dir().join("blocks"), u64::from(coin.daemon.prune_mib?))
}

fn prune(dir: &Path, mib: u64) -> Option<PruneFacts> {
    let sizes = sizes(dir).ok()?;
    if sizes.iter().map(|(_, bytes)| bytes).sum::<u64>() <= (mib + OVERSHOOT_MIB) << 20 {
        return None;
    }
    let mut room = mib << 20;
    let kept = sizes.iter().rev().take_while(|(_, bytes)| {
        let fits = *bytes <= room;
        room = room.saturating_sub(*bytes);
        fits
    });
    // The newest is never deleted, however large.
    let oldest = kept.last().or(sizes.last())?;
    Some(PruneFacts { mib, kept_from_s: first_time(dir, &oldest.0).ok() })
}

/// Each file of blocks with its size and that of its undo data, the oldest first.
fn sizes(dir: &Path) -> io::Result<Vec<(String, u64)>> {
    let mut sizes = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some(number) = name.strip_prefix("blk").filter(|rest| rest.ends_with(".dat")) {
            let undo = fs::metadata(dir.join(format!("rev{number}"))).map_or(0, |facts| facts.len());
            sizes.push((name, entry.metadata()?.len() + undo));
        }
    }
    sizes.sort_unstable();
    Ok(sizes)
}

/// The time in the header of the first block in a file, in seconds since 1970. Since Bitcoin Core 28 block files are masked with the eight bytes in `xor.dat`.
fn first_time(dir: &Path, name: &str) -> io::Result<i64> {
    let mut time = [0; 4];
    File::open(dir.join(name))?.read_exact_at(&mut time, TIME_AT)?;
    let mask = fs::read(dir.join("xor.dat")).unwrap_or_default();
    if let Some(mask) = mask.get(4..8) {
        // TIME_AT is four more than a multiple of eight.
        time.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
    }
    Ok(i64::from(u32::from_le_bytes(time)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of blocks that takes no room; the first of its blocks is of this time.
    fn blocks(dir: &Path, number: u32, mib: u64, time: u32, mask: [u8; 4]) {
        let file = File::create(dir.join(format!("blk{number:05}.dat"))).unwrap();
        let time: Vec<u8> = time.to_le_bytes().iter().zip(mask).map(|(byte, mask)| byte ^ mask).collect();
        file.write_all_at(&time, TIME_AT).unwrap();
        file.set_len(mib << 20).unwrap();
    }

    #[test]
    fn what_is_kept_begins_with_the_oldest_file_that_fits() {
        for mask in [None, Some([1, 2, 3, 4, 5, 6, 7, 8])] {
            let dir = tempfile::tempdir().unwrap();
            assert_eq!(prune(dir.path(), 550), None);
            if let Some(mask) = mask {
                fs::write(dir.path().join("xor.dat"), mask).unwrap();
            }
            let mask = mask.map_or([0; 4], |_| [5, 6, 7, 8]);
            (0..5).for_each(|number| blocks(dir.path(), number, 128, 1_000_000 + number, mask));
            assert_eq!(prune(dir.path(), 550), None, "it is as small as a daemon that prunes leaves it");
            blocks(dir.path(), 5, 100, 1_000_005, mask);
            assert_eq!(prune(dir.path(), 550), Some(PruneFacts { mib: 550, kept_from_s: Some(1_000_002) }));
            File::create(dir.path().join("rev00004.dat")).unwrap().set_len(80 << 20).unwrap();
            assert_eq!(prune(dir.path(), 550), Some(PruneFacts { mib: 550, kept_from_s: Some(1_000_003) }));
            assert_eq!(prune(dir.path(), 5000), None);
        }
    }
}
