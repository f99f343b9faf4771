//! EDF and BDF files made to order: the whole of the format that a test needs, written independently of the reader.

#![allow(dead_code)]

/// A signal, and all of its samples.
#[derive(Clone, Debug)]
pub(crate) struct Signal {
    pub(crate) label: String,
    pub(crate) transducer: String,
    pub(crate) unit: String,
    pub(crate) range: [String; 4],
    pub(crate) prefilter: String,
    pub(crate) per_record: usize,
    pub(crate) samples: Vec<i32>,
}

/// A file. Each field of the header can be a lie.
#[derive(Clone, Debug)]
pub(crate) struct Edf {
    /// Bytes of a sample: 3 makes it BDF.
    pub(crate) width: usize,
    pub(crate) patient: String,
    pub(crate) recording: String,
    pub(crate) date: String,
    pub(crate) time: String,
    pub(crate) reserved: String,
    pub(crate) records: String,
    pub(crate) duration: String,
    pub(crate) signals: Vec<Signal>,
    /// The text of each record's annotations; none makes no such signal.
    pub(crate) annotations: Vec<Vec<u8>>,
}

/// Bytes of annotations in a record; divides by 2 and by 3.
const ANNOTATIONS: usize = 60;

impl Signal {
    /// A signal whose every sample tells where it is.
    pub(crate) fn counting(label: &str, per_record: usize, records: usize, first: i32) -> Self {
        Self {
            label: label.to_owned(),
            transducer: "AgAgCl electrode".to_owned(),
            unit: "uV".to_owned(),
            range: ["-3276.8", "3276.7", "-32768", "32767"].map(str::to_owned),
            prefilter: "HP:0.1Hz LP:75Hz".to_owned(),
            per_record,
            samples: (first..).take(per_record * records).collect(),
        }
    }
}

impl Edf {
    pub(crate) fn new(signals: Vec<Signal>) -> Self {
        let records = signals[0].samples.len() / signals[0].per_record;
        Self {
            width: 2,
            patient: "MCH-0234567 F 02-MAY-1951 Haagse_Harry".to_owned(),
            recording: "Startdate 02-MAR-2002 EMG561 BK/JOP Sony_MNC_R".to_owned(),
            date: "02.03.02".to_owned(),
            time: "14.27.00".to_owned(),
            reserved: String::new(),
            records: records.to_string(),
            duration: "1".to_owned(),
            signals,
            annotations: Vec::new(),
        }
    }

    /// As EDF+ (`EDF+C`) or an interrupted one (`EDF+D`), whose records begin at these times.
    pub(crate) fn plus(mut self, reserved: &str, onsets: &[&str]) -> Self {
        self.reserved = reserved.to_owned();
        self.annotations = onsets
            .iter()
            .map(|onset| format!("{onset}\x14\x14\0{onset}\x14Lights off\x14\0").into_bytes())
            .collect();
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let plus = !self.annotations.is_empty();
        let count = self.signals.len() + usize::from(plus);
        let mut file = if self.width == 3 { b"\xffBIOSEMI".to_vec() } else { b"0       ".to_vec() };
        let mut field = |text: &str, length: usize| {
            assert!(text.len() <= length, "'{text}' has more than {length} bytes");
            file.extend_from_slice(format!("{text:<length$}").as_bytes());
        };
        field(&self.patient, 80);
        field(&self.recording, 80);
        field(&self.date, 8);
        field(&self.time, 8);
        field(&(256 * (count + 1)).to_string(), 8);
        field(&self.reserved, 44);
        field(&self.records, 8);
        field(&self.duration, 8);
        field(&count.to_string(), 4);
        let label = if self.width == 3 { "BDF Annotations" } else { "EDF Annotations" };
        let mut all = self.signals.clone();
        if plus {
            let mut signal = Signal::counting(label, ANNOTATIONS / self.width, 0, 0);
            signal.range = ["-1", "1", "-32768", "32767"].map(str::to_owned);
            all.push(signal);
        }
        all.iter().for_each(|signal| field(&signal.label, 16));
        all.iter().for_each(|signal| field(&signal.transducer, 80));
        all.iter().for_each(|signal| field(&signal.unit, 8));
        for index in 0..4 {
            all.iter().for_each(|signal| field(&signal.range[index], 8));
        }
        all.iter().for_each(|signal| field(&signal.prefilter, 80));
        all.iter().for_each(|signal| field(&signal.per_record.to_string(), 8));
        all.iter().for_each(|_| field("", 32));

        let records = self.signals[0].samples.len() / self.signals[0].per_record;
        for record in 0..records {
            for signal in &self.signals {
                for sample in &signal.samples[record * signal.per_record..][..signal.per_record] {
                    file.extend_from_slice(&sample.to_le_bytes()[..self.width]);
                }
            }
            if plus {
                let mut text = self.annotations[record].clone();
                text.resize(ANNOTATIONS, 0);
                file.extend_from_slice(&text);
            }
        }
        file
    }
}
