//! Screens and tables as files.

use std::fmt::Write as _;

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};

use super::table::Table;

/// A picture as plain text.
#[must_use]
pub(crate) fn text(picture: &Buffer) -> String {
    let mut out = String::new();
    for y in picture.area.top()..picture.area.bottom() {
        let line: String =
            (picture.area.left()..picture.area.right()).map(|x| picture[(x, y)].symbol()).collect();
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// A picture as an SVG file, each cell at its place whatever the font.
#[must_use]
pub(crate) fn svg(picture: &Buffer) -> String {
    const WIDE: u16 = 9;
    const HIGH: u16 = 18;
    let (columns, lines) = (picture.area.width, picture.area.height);
    let mut out = String::new();
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w}\" height=\"{h}\" viewBox=\"0 0 {w} {h}\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#16181c\"/>\n\
         <g font-family=\"monospace\" font-size=\"15\" xml:space=\"preserve\">",
        w = columns * WIDE,
        h = lines * HIGH
    );
    for y in 0..lines {
        for x in 0..columns {
            let cell = &picture[(x, y)];
            let reversed = cell.modifier.contains(Modifier::REVERSED);
            if reversed {
                let (x, y) = (x * WIDE, y * HIGH);
                let _ = writeln!(
                    out,
                    "<rect x=\"{x}\" y=\"{y}\" width=\"{WIDE}\" height=\"{HIGH}\" fill=\"#d7dae0\"/>"
                );
            }
            if cell.symbol().trim().is_empty() {
                continue;
            }
            let colour = if reversed { "#16181c" } else { hex(cell.fg) };
            let dim = if cell.modifier.contains(Modifier::DIM) { " opacity=\"0.6\"" } else { "" };
            let bold = if cell.modifier.contains(Modifier::BOLD) { " font-weight=\"bold\"" } else { "" };
            let (x, y) = (x * WIDE, y * HIGH + 14);
            let text = escape(cell.symbol());
            let _ = writeln!(out, "<text x=\"{x}\" y=\"{y}\" fill=\"{colour}\"{dim}{bold}>{text}</text>");
        }
    }
    out.push_str("</g>\n</svg>\n");
    out
}

fn hex(colour: Color) -> &'static str {
    match colour {
        Color::Green => "#78c878",
        Color::Cyan => "#6ec3cd",
        Color::Yellow => "#e6be5f",
        Color::Red => "#eb6964",
        Color::Magenta => "#cd82d7",
        Color::Rgb(120, 200, 120) => "#78c878",
        Color::Rgb(110, 195, 205) => "#6ec3cd",
        Color::Rgb(230, 190, 95) => "#e6be5f",
        Color::Rgb(235, 105, 100) => "#eb6964",
        Color::Rgb(205, 130, 215) => "#cd82d7",
        Color::Rgb(130, 135, 140) => "#82878c",
        _ => "#d7dae0",
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A table as a JSON array, one object for each row.
#[must_use]
pub(crate) fn json(table: &Table) -> String {
    let rows: Vec<_> = table.rows.iter().map(|row| &row.json).collect();
    let mut out = serde_json::to_string_pretty(&rows).unwrap_or_default();
    out.push('\n');
    out
}

/// A table as CSV, with the titles of its columns first.
#[must_use]
pub(crate) fn csv(table: &Table) -> String {
    let field = |text: &str| {
        if text.contains(['"', ',', '\n']) {
            format!("\"{}\"", text.replace('"', "\"\""))
        } else {
            text.to_owned()
        }
    };
    let mut out = String::new();
    let titles: Vec<String> =
        table.columns.iter().map(|column| field(&column.title.to_lowercase())).collect();
    let _ = writeln!(out, "{}", titles.join(","));
    for row in &table.rows {
        let cells: Vec<String> = row.cells.iter().map(|cell| field(&cell.text)).collect();
        let _ = writeln!(out, "{}", cells.join(","));
    }
    out
}

/// The bytes in base64, as OSC 52 wants them.
#[must_use]
pub(crate) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let three = [chunk[0], chunk.get(1).copied().unwrap_or(0), chunk.get(2).copied().unwrap_or(0)];
        let number = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        for place in 0..4 {
            let digit = DIGITS[(number >> (18 - 6 * place) & 63) as usize];
            out.push(if place <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::table::{Row, plain, rest, text};

    #[test]
    fn base64_is_as_others_write_it() {
        for (bytes, expected) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(bytes.as_bytes()), expected);
        }
    }

    #[test]
    fn commas_quotes_and_line_breaks_survive_csv() {
        let row = Row {
            key: "1".into(),
            first: false,
            cells: vec![plain("a,b"), plain("say \"hi\"\nthere")],
            json: serde_json::json!({}),
        };
        let table =
            Table { columns: vec![text("KEY", 5), rest("TEXT")], rows: vec![row], ..Table::default() };
        assert_eq!(csv(&table), "key,text\n\"a,b\",\"say \"\"hi\"\"\nthere\"\n");
    }
}
