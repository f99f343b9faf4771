//! Medians and ranges over rounds, and ratios within them: for eyes, for programs, and as a picture.

use crate::rows::{Better, Row};
use crate::workload::Sample;
use serde_json::{Value, json};
use std::fmt::Write;

/// All rounds of a row.
pub struct Result {
    pub row: Row,
    pub rounds: Vec<Vec<Sample>>,
}

/// Least, median, most.
#[derive(Clone, Copy)]
struct Spread {
    least: f64,
    median: f64,
    most: f64,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        if values.is_empty() {
            return Self { least: f64::NAN, median: f64::NAN, most: f64::NAN };
        }
        Self { least: values[0], median: values[values.len() / 2], most: values[values.len() - 1] }
    }

    fn json(self) -> Value {
        json!({ "least": self.least, "median": self.median, "most": self.most })
    }
}

/// Which entry is annulus: the one that is judged.
const OURS: usize = 1;

impl Result {
    fn values(&self, entry: usize) -> Spread {
        Spread::of(self.rounds.iter().map(|round| round[entry].value))
    }

    fn extra(&self, entry: usize) -> f64 {
        Spread::of(self.rounds.iter().map(|round| round[entry].extra)).median
    }

    /// To the limit, each in its own round.
    fn ratios(&self, entry: usize) -> Spread {
        Spread::of(self.rounds.iter().map(|round| round[entry].value / round[0].value))
    }

    fn disturbed(&self) -> bool {
        self.rounds.iter().flatten().any(|sample| sample.disturbed > 20)
    }

    /// What became of what is demanded, and claimed.
    fn verdict(&self) -> &'static str {
        let ratio = self.ratios(OURS).median;
        let reaches = |bar: f64| match self.row.better {
            Better::Less => ratio <= bar,
            Better::More => ratio >= bar,
        };
        match (reaches(self.row.aim), reaches(self.row.floor)) {
            (true, _) => "aim reached",
            (false, true) => "floor reached",
            (false, false) => "NOT REACHED",
        }
    }
}

/// Of a number, what can be told.
fn number(value: f64) -> String {
    match value.abs() {
        value if value.is_nan() => "failed".into(),
        1000.0.. => format!("{value:.0}"),
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// One row, on a terminal.
pub fn text(result: &Result) -> String {
    let mut text = String::new();
    for (index, entry) in result.row.entries.iter().enumerate() {
        let (value, ratio) = (result.values(index), result.ratios(index));
        let range = format!("{} to {}", number(value.least), number(value.most));
        let ratios = format!("{} to {}", number(ratio.least), number(ratio.most));
        let (value, ratio, unit) = (number(value.median), number(ratio.median), result.row.unit);
        let extra = match result.row.extra {
            "" => String::new(),
            what => format!("  {what} {}", number(result.extra(index))),
        };
        let _ = writeln!(
            text,
            "  {:<38} {value:>8} {unit:<9} ({range:<17}) x {ratio:>6} ({ratios}){extra}",
            entry.name
        );
    }
    let disturbed = if result.disturbed() { "; others disturbed some of it" } else { "" };
    let _ = writeln!(text, "  {}{disturbed}", result.verdict());
    text
}

/// All rows.
pub fn markdown(machine: &Value, results: &[Result]) -> String {
    let mut text = String::new();
    let line = |name: &str| machine[name].as_str().unwrap_or_default().to_string();
    let _ = writeln!(
        text,
        "{}, {} processors, {}, {}, {}, {}, commit {}, {}.\n",
        line("processor"),
        machine["processors"],
        line("kernel"),
        line("compiler"),
        line("c++"),
        line("installed"),
        line("commit"),
        line("date"),
    );
    let _ = writeln!(
        text,
        "Medians of {} rounds, with the least and the most; ratios are within rounds, to the first of each table.\n",
        results.first().map_or(0, |one| one.rounds.len())
    );
    for result in results {
        let row = &result.row;
        let _ = writeln!(text, "### {}. {} ({})\n", row.id, row.title, row.unit);
        let extra = if row.extra.is_empty() { String::new() } else { format!(" {} |", row.extra) };
        let _ = writeln!(text, "| | {} | range | ratio | range |{extra}", row.unit);
        let _ = writeln!(text, "|---|---:|---|---:|---|{}", if row.extra.is_empty() { "" } else { "---:|" });
        for (index, entry) in row.entries.iter().enumerate() {
            let (value, ratio) = (result.values(index), result.ratios(index));
            let extra = if row.extra.is_empty() {
                String::new()
            } else {
                format!(" {} |", number(result.extra(index)))
            };
            let _ = writeln!(
                text,
                "| {} | {} | {} to {} | {} | {} to {} |{extra}",
                entry.name,
                number(value.median),
                number(value.least),
                number(value.most),
                number(ratio.median),
                number(ratio.least),
                number(ratio.most),
            );
        }
        let order = if row.better == Better::Less { "at most" } else { "at least" };
        let disturbed = if result.disturbed() { " Others disturbed some of it." } else { "" };
        let _ = writeln!(
            text,
            "\nDemanded: {order} {}; claimed: {}. {}.{disturbed}\n",
            row.floor,
            row.aim,
            result.verdict(),
        );
    }
    text
}

/// The same for programs.
pub fn json(machine: &Value, results: &[Result]) -> String {
    let row = |result: &Result| {
        let entry = |(index, entry): (usize, &crate::rows::Entry)| {
            let samples: Vec<Value> = result
                .rounds
                .iter()
                .map(|round| json!({ "value": round[index].value, "extra": round[index].extra, "disturbed": round[index].disturbed }))
                .collect();
            json!({
                "name": entry.name,
                "value": result.values(index).json(),
                "ratio": result.ratios(index).json(),
                "rounds": samples,
            })
        };
        json!({
            "id": result.row.id,
            "title": result.row.title,
            "unit": result.row.unit,
            "more_is_better": result.row.better == Better::More,
            "floor": result.row.floor,
            "aim": result.row.aim,
            "extra": result.row.extra,
            "verdict": result.verdict(),
            "entries": result.row.entries.iter().enumerate().map(entry).collect::<Vec<_>>(),
        })
    };
    let all = json!({ "machine": machine, "rows": results.iter().map(row).collect::<Vec<_>>() });
    serde_json::to_string_pretty(&all).unwrap_or_default() + "\n"
}

/// The rows of a picture, where there are more: the few that matter most.
const PICTURE: [&str; 6] = ["1", "3", "6", "7.8", "9", "11"];

/// Bars of what each needs over, or reaches of, the limit: longer is better.
pub fn svg(machine: &Value, results: &[Result]) -> String {
    const WIDTH: f64 = 860.0;
    const LEFT: f64 = 260.0;
    const BAR: f64 = 16.0;
    /// As long as the limit's own bar.
    const FULL: f64 = 400.0;
    let mut body = String::new();
    let mut y = 60.0;
    let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;");
    let drawn = |result: &&Result| results.len() <= PICTURE.len() || PICTURE.contains(&result.row.id);
    for result in results.iter().filter(drawn) {
        let row = &result.row;
        let _ = writeln!(
            body,
            r#"<text x="8" y="{y}" class="title">{} ({})</text>"#,
            escape(row.title),
            row.unit
        );
        y += 8.0;
        for (index, entry) in row.entries.iter().enumerate() {
            let (value, ratio) = (result.values(index).median, result.ratios(index).median);
            if ratio.is_nan() {
                continue; // it failed, and the table says so
            }
            let share = if row.better == Better::More { ratio } else { 1.0 / ratio };
            let long = (share * FULL).clamp(1.0, FULL * 1.3);
            let class = match entry.name {
                name if name.starts_with("annulus") => "ours",
                name if name.starts_with("limit") => "limit",
                _ => "other",
            };
            let middle = y + BAR - 4.0;
            let _ = writeln!(
                body,
                r#"<text x="{}" y="{middle}" class="name">{}</text><rect x="{LEFT}" y="{y}" width="{long:.1}" height="{}" class="{class}"/><text x="{}" y="{middle}">{}</text>"#,
                LEFT - 8.0,
                escape(entry.name),
                BAR - 3.0,
                LEFT + long + 6.0,
                number(value),
            );
            y += BAR;
        }
        y += 26.0;
    }
    let under = format!(
        "{}, {} processors, {}, {}, commit {}",
        machine["processor"].as_str().unwrap_or_default(),
        machine["processors"],
        machine["kernel"].as_str().unwrap_or_default(),
        machine["compiler"].as_str().unwrap_or_default(),
        machine["commit"].as_str().unwrap_or_default(),
    );
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{:.0}" font-family="sans-serif" font-size="12">
<style>rect.ours {{ fill: #0b6e4f }} rect.limit {{ fill: #9aa5b1 }} rect.other {{ fill: #c98b2b }} .title {{ font-weight: bold }} .name {{ text-anchor: end }}</style>
<rect width="100%" height="100%" fill="white"/>
<text x="8" y="18">Longer is better; grey is what the machine allows.</text>
<text x="8" y="34">{}</text>
{body}</svg>
"##,
        y,
        escape(&under),
    )
}
