//! A picture file of what a stream retains: the scope's view, on paper.

mod paint;

use crate::failure::{Failure, note};
use crate::plain::plain;
use crate::scope::feed::{Feed, Producer};
use crate::scope::traces::significant;
use crate::scope::{Options, View};
use crate::stop::Stop;
use annulus::{Observer, ProducerState};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};

/// Where the picture goes, and in which format.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    path: PathBuf,
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Format {
    Svg,
    Png,
}

impl Target {
    /// By the ending of the file's name.
    pub(crate) fn parse(path: &str) -> Result<Self, String> {
        let path = PathBuf::from(path);
        let ending = path.extension().and_then(OsStr::to_str).unwrap_or_default().to_ascii_lowercase();
        let format = match ending.as_str() {
            "svg" => Format::Svg,
            "png" => Format::Png,
            _ => return Err("give a file name that ends in .svg or .png".to_owned()),
        };
        Ok(Self { path, format })
    }
}

/// Pixels across and down.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Size {
    pub(crate) width: u32,
    pub(crate) height: u32,
}

impl Size {
    const LEAST: u32 = 200;
    const MOST: u32 = 5000;

    /// Room for so many rows, if the user does not say how large it shall be.
    fn of_rows(rows: usize) -> Self {
        let row = (720 / rows.max(1)).clamp(48, 280);
        let height = (row * rows + 80).min(Self::MOST as usize);
        Self { width: 1200, height: height as u32 }
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let sides = text.split_once('x').and_then(|(x, y)| Some((x.parse().ok()?, y.parse().ok()?)));
        let range = Self::LEAST..=Self::MOST;
        match sides {
            Some((width, height)) if range.contains(&width) && range.contains(&height) => {
                Ok(Self { width, height })
            }
            _ => Err(format!(
                "give a width and a height in pixels, {} to {}, like 1200x400",
                Self::LEAST,
                Self::MOST
            )),
        }
    }
}

/// Draws the newest of what is retained, and says how much that is. Waits for the first frame, if there is a producer.
pub(crate) fn write(
    observer: Observer<u8>,
    options: &Options,
    target: &Target,
    size: Option<Size>,
    stop: &Stop,
) -> Result<(), Failure> {
    let info = observer.info().clone();
    let mut feed = Feed::new(observer);
    let signal = feed.signal().map_err(Failure::Usage)?;
    let mut view = View::new(signal, options).map_err(Failure::Usage)?;
    let asked = view.columns().grid().span();
    wait_for_frames(&mut feed, stop)?;
    if stop.raised() {
        return Ok(());
    }
    let retained = feed.readable();
    view.shorten(retained.end - retained.start);

    // Every trace has its row; a stream of thousands shows those that are kept.
    let rows = view.rows().len();
    let size = size.unwrap_or_else(|| Size::of_rows(if options.overlay { 1 } else { rows }));
    let frame = paint::Frame::new(size);
    view.fit(frame.columns(), 1);
    view.see(retained);
    let (columns, wanted) = view.filling();
    feed.fill(columns, &wanted, Instant::now() + Duration::from_secs(3600))?;

    let device = if info.device.is_empty() { String::new() } else { format!("   {}", info.device) };
    let title = plain(&format!("{}   {}{device}", info.full_name(), info.summary()));
    let bytes = match target.format {
        Format::Svg => paint::svg(&frame, &mut view, &title),
        Format::Png => paint::png(&frame, &mut view, &title),
    };
    let bytes = bytes.map_err(|error| Failure::Failed(format!("cannot draw the picture: {error}")))?;
    save(&target.path, &bytes)?;

    let shown = view.columns().known();
    let amount = |frames: u64| match view.rate() {
        rate if rate > 0.0 => format!("{} s", significant(frames as f64 / rate, 4)),
        _ => format!("{frames} frames"),
    };
    let frames = shown.end - shown.start;
    let less = if frames < asked { format!("; there are no {}", amount(asked)) } else { String::new() };
    let (path, name) = (target.path.display(), info.full_name());
    let range = format!("{} frames from position {}", frames, shown.start);
    note(format!("{path}: {} of {name} ({range}){less}", amount(frames)));
    Ok(())
}

fn wait_for_frames(feed: &mut Feed, stop: &Stop) -> Result<(), Failure> {
    let mut told = false;
    while feed.readable().is_empty() && !stop.raised() {
        let producer = feed.look()?;
        let alive = matches!(producer, Producer::Is(ProducerState::Live { .. } | ProducerState::Never));
        if !alive && feed.readable().is_empty() {
            return Err(Failure::Failed("the stream holds no frame, and has no producer".to_owned()));
        }
        if !told {
            note("waiting for the first frame (Ctrl-C ends)");
            told = true;
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn save(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    fs::write(path, bytes)
        .map_err(|error| Failure::Failed(format!("cannot write {}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_in_the_name() {
        let format = |name| Target::parse(name).map(|target| target.format);
        assert_eq!((format("a.svg"), format("/tmp/A.PNG")), (Ok(Format::Svg), Ok(Format::Png)));
        for name in ["a", "svg", ".svg", "a.jpg", "a.svg.gz", ""] {
            assert!(format(name).is_err(), "{name}");
        }
    }

    #[test]
    fn sizes_are_sane() {
        assert_eq!("1200x400".parse(), Ok(Size { width: 1200, height: 400 }));
        for text in ["", "x", "1200", "1200x", "199x400", "1200x99999", "-1x400", "1e3x400", "400x400x400"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
        assert_eq!((Size::of_rows(1).height, Size::of_rows(0).height), (360, 80));
        assert_eq!(Size::of_rows(1 << 20).height, Size::MOST);
    }
}
