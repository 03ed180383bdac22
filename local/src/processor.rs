//! A process's use of the processor, from Linux's /proc (proc(5)).

use std::{fs::read_to_string, time::Duration};

/// /proc counts in hundredths of a second on every machine.
const TICKS_PER_SECOND: u32 = 100;

/// How long it and its ended threads have run, in user mode and in the kernel, rounded down to 10 ms.
pub fn time(process: u32) -> Option<Duration> {
    let stat = read_to_string(format!("/proc/{process}/stat")).ok()?;
    // the name before it may contain anything
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u32>().ok();
    let (user, system) = (ticks()?, ticks()?);
    Some(Duration::from_secs(1) * (user + system) / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use std::{process, time::Instant};

    use super::*;

    #[test]
    fn the_time_of_a_busy_process_grows() {
        let before = time(process::id()).unwrap();
        let began = Instant::now();
        while time(process::id()).unwrap() < before + Duration::from_millis(20) {
            assert!(began.elapsed() < Duration::from_secs(60), "it stands still");
        }
        assert_eq!(time(u32::MAX), None);
    }
}
