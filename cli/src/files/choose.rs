//! Which channels of a file are wanted.

use super::Error;

/// How a user may call a channel of a file.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) label: String,
    /// The label as the file has it: `ECG MLII`.
    pub(super) verbatim: String,
    /// What several channels have in common: `256Hz`.
    pub(super) group: String,
}

/// The indices of the wanted channels, in the wanted order; all of them if none is named.
pub(super) fn choose(wanted: &[String], names: &[Names]) -> Result<Vec<usize>, Error> {
    if wanted.is_empty() {
        return Ok((0..names.len()).collect());
    }
    let mut chosen = Vec::new();
    for one in wanted {
        let called = |matches: &dyn Fn(&Names) -> bool| -> Vec<usize> {
            (0..names.len()).filter(|&index| matches(&names[index])).collect()
        };
        let labelled = called(&|names| names.label == *one || names.verbatim == *one);
        let group = called(&|names| names.group.eq_ignore_ascii_case(one));
        match (&labelled[..], one.parse::<usize>()) {
            ([index], _) => chosen.push(*index),
            ([], _) if !group.is_empty() => chosen.extend(group),
            ([], Ok(number)) if (1..=names.len()).contains(&number) => chosen.push(number - 1),
            ([], _) => return Err(unknown(one, names)),
            (several, _) => {
                let numbers: Vec<String> = several.iter().map(|index| (index + 1).to_string()).collect();
                let why = format!(
                    "--channels: several are called '{one}', say which by its number: {}",
                    numbers.join(", ")
                );
                return Err(Error::Usage(why));
            }
        }
    }
    Ok(chosen)
}

fn unknown(one: &str, names: &[Names]) -> Error {
    let labels: Vec<&str> = names.iter().map(|names| &*names.label).collect();
    Error::Usage(format!("--channels: there is no '{one}', but {}", short(&labels)))
}

/// A list that stays readable: the first few, and how many more.
pub(super) fn short(labels: &[&str]) -> String {
    const MOST: usize = 12;
    let first = labels[..labels.len().min(MOST)].join(", ");
    if labels.len() > MOST { format!("{first} and {} more", labels.len() - MOST) } else { first }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_label_group_or_number() {
        let names = |label: &str, verbatim: &str, group: &str| Names {
            label: label.to_owned(),
            verbatim: verbatim.to_owned(),
            group: group.to_owned(),
        };
        let all = [
            names("Fp1", "EEG Fp1", "256Hz"),
            names("Fp2", "EEG Fp2", "256Hz"),
            names("x", "x", "1Hz"),
            names("x", "x", "1Hz"),
        ];
        let chosen = |wanted: &str| {
            let wanted: Vec<String> = wanted.split_terminator(',').map(str::to_owned).collect();
            choose(&wanted, &all).map_err(|error| match error {
                Error::Usage(why) | Error::Bad(why) => why,
            })
        };
        assert_eq!(chosen(""), Ok(vec![0, 1, 2, 3]));
        assert_eq!(chosen("Fp2,EEG Fp1,4"), Ok(vec![1, 0, 3]));
        assert_eq!(chosen("256hz"), Ok(vec![0, 1]));
        assert!(chosen("x").unwrap_err().ends_with("by its number: 3, 4"));
        assert!(chosen("Fp9").unwrap_err().ends_with("there is no 'Fp9', but Fp1, Fp2, x, x"));
        assert!(chosen("0").is_err() && chosen("5").is_err());
    }

    #[test]
    fn long_lists_are_cut() {
        assert!(short(&["a"; 40]).ends_with("a, a and 28 more"));
    }
}
