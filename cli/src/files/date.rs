//! Points in time as files write them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The point in time that a calendar and a clock show, taken as UTC: files say no time zone.
pub(super) fn utc(date: (i64, u32, u32), clock: (u32, u32, u32)) -> Option<SystemTime> {
    let ((year, month, day), (hour, minute, second)) = (date, clock);
    // A leap second counts as the next one.
    let fits = (1..=12).contains(&month) && day >= 1 && hour < 24 && minute < 60 && second <= 60;
    if !fits || day > days_in(year, month) || !(0..=9999).contains(&year) {
        return None;
    }
    // Years that begin in March, in eras of 400, so that the leap day comes last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = i64::from((153 * month + 2) / 5 + day - 1);
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 719_468;
    let seconds = days * 86_400 + i64::from(hour * 3600 + minute * 60 + second);
    let distance = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) }
}

/// `2026-11-21T02:15:00.25Z`
pub(super) fn iso(text: &str) -> Option<SystemTime> {
    let (whole, fraction) = match text.strip_suffix('Z')?.split_once('.') {
        Some((whole, fraction)) => (whole, format!("0.{fraction}").parse::<f64>().ok()?),
        None => (text.strip_suffix('Z')?, 0.0),
    };
    let (date, clock) = whole.split_once('T')?;
    let mut date = date.split('-').map(|part| part.parse().ok());
    let mut clock = clock.split(':').map(|part| part.parse().ok());
    let year: u32 = date.next()??;
    let date = (i64::from(year), date.next()??, date.next()??);
    let time = utc(date, (clock.next()??, clock.next()??, clock.next()??))?;
    let nanoseconds = (fraction * 1e9).round() as u64;
    time.checked_add(Duration::from_nanos(nanoseconds))
}

fn days_in(year: i64, month: u32) -> u32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iso_dates_are_read() {
        let exact =
            |text: &str| iso(text).and_then(|time| Some(time.duration_since(UNIX_EPOCH).ok()?.as_nanos()));
        assert_eq!(exact("1970-01-01T00:00:03Z"), Some(3_000_000_000));
        assert_eq!(exact("1970-01-01T00:00:03.000000025Z"), Some(3_000_000_025));
        for text in
            ["", "Z", "1970-01-01T00:00:03", "1970-13-01T00:00:03Z", "1970-01-01 00:00:03Z", "x-y-zTa:b:cZ"]
        {
            assert_eq!(exact(text), None, "{text}");
        }
    }

    #[test]
    fn dates_are_gregorian() {
        let seconds = |date, clock| {
            let time: SystemTime = utc(date, clock)?;
            Some(match time.duration_since(UNIX_EPOCH) {
                Ok(after) => after.as_secs() as i64,
                Err(before) => -(before.duration().as_secs() as i64),
            })
        };
        assert_eq!(seconds((1970, 1, 1), (0, 0, 0)), Some(0));
        assert_eq!(seconds((2000, 2, 28), (23, 59, 59)), Some(951_782_399));
        assert_eq!(seconds((2000, 2, 29), (0, 0, 0)), Some(951_782_400));
        assert_eq!(seconds((2024, 2, 29), (23, 59, 59)), Some(1_709_251_199));
        assert_eq!(seconds((2100, 3, 1), (0, 0, 0)), Some(4_107_542_400));
        assert_eq!(seconds((1955, 1, 1), (0, 0, 0)), Some(-473_385_600));
        for date in [(2001, 2, 29), (2100, 2, 29), (2000, 0, 1), (2000, 13, 1), (2000, 4, 31), (2000, 1, 0)] {
            assert_eq!(seconds(date, (0, 0, 0)), None, "{date:?}");
        }
        assert_eq!(seconds((2000, 1, 1), (24, 0, 0)), None);
    }
}
