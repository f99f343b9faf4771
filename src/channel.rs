//! What the samples of one channel mean.

/// One channel of a stream: what its raw numbers mean, and where they come from.
///
/// Raw device counts stay raw in the ring; `physical = raw * scale + offset`, in `unit`. No patient data
/// belongs here: everybody who may read the stream may read it.
///
/// ```
/// use annulus::Channel;
/// let lead = Channel::new("MLII").unit("mV").kind("ECG").scaled(1.0 / 200.0, -5.12);
/// assert!((lead.to_physical(1224.0) - 1.0).abs() < 1e-12);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Channel {
    /// As the device or the field names it: `Fp1`, `MLII`, `I`.
    pub label: String,
    /// Of the physical value: `uV`, `mV`, `degC`, `m/s^2`; empty for none.
    pub unit: String,
    /// BIDS and LSL type, upper case: `EEG`, `ECG`, `EMG`, `EOG`, `TRIG`, `AUDIO`; empty for none.
    pub kind: String,
    /// Physical units per raw count.
    pub scale: f64,
    /// Physical value of a raw zero.
    pub offset: f64,
    /// Smallest and largest physical value, if given.
    pub physical_range: Option<(f64, f64)>,
    /// Smallest and largest raw value, if given.
    pub digital_range: Option<(i64, i64)>,
    /// Filters applied before, in EDF's words: `HP:0.1Hz LP:75Hz N:50Hz`.
    pub prefilter: String,
    /// Electrode or sensor: `AgAgCl electrode`.
    pub transducer: String,
    /// What the value is measured against: `M1`, `common average`.
    pub reference: String,
    /// Anything else.
    pub description: String,
    /// Meaningful low bits of a raw value (24 in an `i32`); 0 = all.
    pub significant_bits: u32,
}

impl Channel {
    /// A channel of raw numbers: scale 1, offset 0, no unit.
    pub fn new(label: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            unit: String::new(),
            kind: String::new(),
            scale: 1.0,
            offset: 0.0,
            physical_range: None,
            digital_range: None,
            prefilter: String::new(),
            transducer: String::new(),
            reference: String::new(),
            description: String::new(),
            significant_bits: 0,
        }
    }

    /// Sets [`unit`](Self::unit).
    #[must_use]
    pub fn unit(mut self, unit: impl Into<String>) -> Self {
        self.unit = unit.into();
        self
    }

    /// Sets [`kind`](Self::kind).
    #[must_use]
    pub fn kind(mut self, kind: impl Into<String>) -> Self {
        self.kind = kind.into();
        self
    }

    /// Sets [`scale`](Self::scale) and [`offset`](Self::offset).
    #[must_use]
    pub fn scaled(mut self, scale: f64, offset: f64) -> Self {
        self.scale = scale;
        self.offset = offset;
        self
    }

    /// Sets [`physical_range`](Self::physical_range).
    #[must_use]
    pub fn physical_range(mut self, min: f64, max: f64) -> Self {
        self.physical_range = Some((min, max));
        self
    }

    /// Sets [`digital_range`](Self::digital_range).
    #[must_use]
    pub fn digital_range(mut self, min: i64, max: i64) -> Self {
        self.digital_range = Some((min, max));
        self
    }

    /// Sets [`prefilter`](Self::prefilter).
    #[must_use]
    pub fn prefilter(mut self, prefilter: impl Into<String>) -> Self {
        self.prefilter = prefilter.into();
        self
    }

    /// Sets [`transducer`](Self::transducer).
    #[must_use]
    pub fn transducer(mut self, transducer: impl Into<String>) -> Self {
        self.transducer = transducer.into();
        self
    }

    /// Sets [`reference`](Self::reference).
    #[must_use]
    pub fn reference(mut self, reference: impl Into<String>) -> Self {
        self.reference = reference.into();
        self
    }

    /// Sets [`description`](Self::description).
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// Sets [`significant_bits`](Self::significant_bits).
    #[must_use]
    pub fn significant_bits(mut self, bits: u32) -> Self {
        self.significant_bits = bits;
        self
    }

    /// The physical value of a raw one, in [`unit`](Self::unit).
    pub fn to_physical(&self, raw: f64) -> f64 {
        raw * self.scale + self.offset
    }
}
