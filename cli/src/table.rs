//! Aligned columns.

/// How wide each column is.
#[derive(Debug)]
pub(crate) struct Columns(Vec<usize>);

impl Columns {
    /// Wide enough for these heads and the cells below them; cells beyond the last head are not shown.
    pub(crate) fn of<'a>(heads: &[&str], rows: impl Iterator<Item = &'a [String]>) -> Self {
        let mut widths: Vec<usize> = heads.iter().map(|head| head.len()).collect();
        for cells in rows {
            for (width, cell) in widths.iter_mut().zip(cells) {
                *width = (*width).max(cell.chars().count());
            }
        }
        Self(widths)
    }

    pub(crate) fn line(&self, cells: &[impl AsRef<str>]) -> String {
        let mut line = String::new();
        for (cell, &width) in cells.iter().zip(&self.0) {
            line += &format!("{:width$}  ", cell.as_ref());
        }
        format!("{}\n", line.trim_end())
    }
}
